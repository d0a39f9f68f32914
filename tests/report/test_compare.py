"""Several runs side by side."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from asr_hf.report.compare import compare, plot_compare
from asr_hf.runtime.errors import InputError

from .conftest import hf_events, initial_event, sgd_events

MakeRun = Callable[..., Path]


def events_of(*points: tuple[float, float, float]) -> list[dict[str, object]]:
    """Events with (work, seconds, held-out loss), after the initial one at loss 5."""
    return [
        initial_event(5.0),
        *(
            initial_event(loss)
            | {"iteration": i, "optimiser": "sgd", "work": work, "seconds": seconds}
            for i, (work, seconds, loss) in enumerate(points, start=1)
        ),
    ]


def test_costs_are_read_at_the_loss_that_all_reached(make_run: MakeRun) -> None:
    fast = make_run("fast", events_of((10, 1, 2.0), (20, 2, 1.5), (30, 3, 1.0)), wer=False)
    slow = make_run("slow", events_of((100, 5, 1.9), (200, 10, 1.6), (300, 15, 1.7)), wer=False)
    _, rows = compare([fast, slow])
    assert [row["common_loss"] for row in rows] == [1.6, 1.6]
    assert [row["work_to_common"] for row in rows] == [20, 200]
    assert [row["seconds_to_common"] for row in rows] == [2, 10]
    assert [row["heldout_loss"] for row in rows] == [1.0, 1.6]
    assert [row["work"] for row in rows] == [30, 300]


def test_the_table_is_markdown_with_one_row_a_run(make_run: MakeRun) -> None:
    hf = make_run("hf", hf_events(20))
    adamw = make_run("adamw", sgd_events(12, "adamw"), wer=False)
    cut = make_run("cut", hf_events(4), finished=False, wer=False)
    table, rows = compare([hf, adamw, cut], ["paper's HF", "AdamW", "cut off"])
    lines = table.splitlines()
    assert len(lines) == 2 + len(rows) == 5
    assert {line.count("|") for line in lines} == {10}
    assert len({len(line) for line in lines}) == 1
    assert "15.8 % (11.9 to 20.1)" in lines[2]
    assert "AdamW" in lines[3]
    assert "cut off (unfinished)" in lines[4]


def test_labels_default_to_names_and_must_fit(make_run: MakeRun) -> None:
    runs = [make_run("a", hf_events(3)), make_run("b", hf_events(3))]
    assert [row["label"] for row in compare(runs)[1]] == ["a", "b"]
    with pytest.raises(InputError, match="2 runs with 1 labels"):
        compare(runs, ["one"])
    with pytest.raises(InputError, match="0 runs"):
        compare([])


def test_a_run_without_held_out_loss_is_named(make_run: MakeRun) -> None:
    empty = make_run("empty", [], finished=False, wer=False)
    with pytest.raises(InputError, match="empty: no held-out loss yet"):
        compare([empty])


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_picture_is_the_same_each_time(make_run: MakeRun, tmp_path: Path, suffix: str) -> None:
    runs = [make_run("hf", hf_events(6)), make_run("sgd", sgd_events(5))]
    pictures = [
        plot_compare(runs, None, tmp_path / f"{name}{suffix}").read_bytes() for name in "ab"
    ]
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) > 5000


def test_an_unknown_picture_format_is_refused(make_run: MakeRun, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot draw doc"):
        plot_compare([make_run("hf", hf_events(3))], None, tmp_path / "picture.doc")
