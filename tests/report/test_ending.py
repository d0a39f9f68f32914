"""What is said of a run's end: why, and whether it could have gone on."""

from __future__ import annotations

import json
import math

import pytest

from asr_hf.report.ending import describe_ending, ending
from asr_hf.report.html import write_report

LIMIT = "trainer.stopping.max_iterations"


def events(losses, **more):
    return [{"iteration": n, "heldout_loss": loss} | more for n, loss in enumerate(losses)]


@pytest.mark.parametrize("count", [3, 8, 30, 200])
def test_a_steady_fall_is_told_by_its_slope(count):
    found = ending(events([5.0 - 0.02 * n for n in range(count)]), LIMIT)
    assert found["still_falling"] == pytest.approx(0.02)
    assert describe_ending(found).startswith(
        f"stopped by {LIMIT} while the held-out loss was still falling 0.02 an iteration"
    )


@pytest.mark.parametrize(
    "losses",
    [
        [2.0] * 20,
        [2.0 + 0.01 * n for n in range(20)],
        [2.0 + 2 * math.exp(-n) for n in range(60)],
        [2.0 + 0.1 * (-1) ** n for n in range(40)],
        [2.0],
        [],
    ],
    ids=["flat", "rising", "converged", "noise", "one", "none"],
)
def test_a_run_that_learned_no_more_is_not_said_to(losses):
    found = ending(events(losses), LIMIT)
    assert found == {"ended_by": LIMIT} and describe_ending(found) == ""


def test_a_fall_long_ago_counts_no_more_and_one_bad_look_hides_nothing():
    assert "still_falling" not in ending(events([9 - n for n in range(5)] + [4.0] * 20), LIMIT)
    falling = [5.0 - 0.05 * n for n in range(30)]
    falling[-1] += 0.2
    assert ending(events(falling), LIMIT)["still_falling"] == pytest.approx(0.042)


def test_the_fall_before_the_last_looks_is_no_fall_of_these():
    """What a run gave whose looks were four iterations apart: it had begun to rise."""
    losses = [1.361, 1.309, 1.270, 1.247, 1.228, 1.214, 1.201, 1.193, 1.190, 1.187, 1.186, 1.186]
    losses += [1.188, 1.190, 1.193, 1.195]
    assert "still_falling" not in ending(events(losses), LIMIT)


def test_a_run_that_ended_by_itself_is_never_said_to_have_been_cut_off():
    assert ending(events([5.0, 4.0, 3.0]), "") == {"ended_by": "convergence"}


def test_of_minibatches_the_fall_is_that_of_an_epoch():
    looks = [{"iteration": 0, "heldout_loss": 5.0}]
    looks += [{"iteration": n, "epoch": n / 4, "heldout_loss": 5.0 - 0.1 * n} for n in range(1, 13)]
    found = ending(looks, "trainer.horizon.epochs")
    assert found["still_falling"] == pytest.approx(0.4)
    assert "0.4 an epoch" in describe_ending(found)


def test_the_report_says_it(tmp_path):
    (tmp_path / "events.jsonl").write_text(
        "".join(json.dumps(e | {"seconds": 1.0}) + "\n" for e in events([5.0, 4.0, 3.0, 2.0]))
    )
    for falling, said in ((ending(events([5.0, 4.0, 3.0, 2.0]), LIMIT), True), ({}, False)):
        (tmp_path / "result.json").write_text(json.dumps({"heldout_loss": 2.0} | falling))
        page = write_report(tmp_path).read_text()
        assert ("while the held-out loss was still falling 1 an iteration" in page) == said
