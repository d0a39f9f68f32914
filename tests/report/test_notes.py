"""What reports say of a run's losses."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from asr_hf.report.notes import notes
from asr_hf.report.run_data import RunData


def run_of(train: list[float], heldout: list[float], **result: object) -> RunData:
    events = [{"iteration": 0, "train_loss": None, "heldout_loss": 5.0}]
    events += [
        {"iteration": i, "train_loss": a, "heldout_loss": b}
        for i, (a, b) in enumerate(zip(train, heldout, strict=True), start=1)
    ]
    return RunData(Path("run"), events, result=dict(result))


def falling(count: int, end: float) -> list[float]:
    return [end + 3 * math.exp(-i / 5) for i in range(count)]


def test_over_fitting_is_told_with_its_figures() -> None:
    heldout = [1.0 + 3 * math.exp(-i / 3) + 0.02 * max(0, i - 10) for i in range(40)]
    (note,) = notes(run_of(falling(40, 0.3), heldout))
    best = min(range(40), key=heldout.__getitem__)
    assert note.startswith(f"Over-fitting: the held-out loss rose from {heldout[best]:.4f} after ")
    assert f"after iteration {best + 1} to {heldout[-1]:.4f} after iteration 40" in note
    assert note.endswith(f"The parameters of iteration {best + 1} are kept.")


def test_a_rise_of_both_losses_is_no_over_fitting() -> None:
    rising = [1.0 + 0.1 * i for i in range(20)]
    (note,) = notes(run_of(rising, rising))
    assert note.startswith("The held-out loss rose from 1.0000 after iteration 1 to 2.9000")


def test_a_growing_gap_is_told() -> None:
    heldout = falling(60, 1.2)
    train = [loss * (1 - 0.01 * i) for i, loss in enumerate(heldout)]
    (note,) = notes(run_of(train, heldout))
    assert note.startswith("The gap between the losses grew. Around iteration 26 the held-out")
    assert "at iteration 60 it is 0.654 above" in note


@pytest.mark.parametrize("count", [0, 3, 10, 100])
def test_losses_that_fall_side_by_side_need_no_note(count: int) -> None:
    heldout = falling(count, 1.2)
    assert notes(run_of([loss - 0.1 for loss in heldout], heldout)) == []
    # Dropout and altered features make training the harder part.
    assert notes(run_of([1.3 * loss for loss in heldout], heldout)) == []


def test_noise_is_no_rise() -> None:
    heldout = [1.0 + 0.02 * (-1) ** i for i in range(40)]
    assert notes(run_of(heldout, heldout)) == []


@pytest.mark.parametrize(
    ("diverged", "told"), [([5], "iteration 5."), ([2, 4, 6, 8, 10, 12, 14], "10 and 2 others")]
)
def test_iterations_that_diverged_are_named(diverged: list[int], told: str) -> None:
    run = run_of(falling(20, 1.0), falling(20, 1.1))
    for event in run.events:
        event["diverged"] = event["iteration"] in diverged
    (note,) = notes(run)
    assert told in note and "trainer.damping" in note


def test_how_the_run_ended_comes_first() -> None:
    limit = "trainer.stopping.max_iterations"
    ended = {"ended_by": limit, "still_falling": 0.1, "still_falling_each": "iteration"}
    heldout = falling(60, 1.2)
    train = [loss * (1 - 0.01 * i) for i, loss in enumerate(heldout)]
    first, second = notes(run_of(train, heldout, **ended))
    assert first.startswith(f"Stopped by {limit} while") and second.startswith("The gap")
