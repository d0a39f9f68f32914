"""The picture of several runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from asr_hf.report.picture import plot_compare
from asr_hf.runtime.errors import InputError

from .conftest import hf_events, sgd_events

MakeRun = Callable[..., Path]


def test_labels_must_fit(make_run: MakeRun, tmp_path: Path) -> None:
    runs = [make_run("a", hf_events(3)), make_run("b", hf_events(3))]
    with pytest.raises(InputError, match="2 runs with 1 labels"):
        plot_compare(runs, ["one"], tmp_path / "picture.svg")


def test_a_run_without_held_out_loss_is_named(make_run: MakeRun, tmp_path: Path) -> None:
    empty = make_run("empty", [], finished=False, wer=False)
    with pytest.raises(InputError, match="empty: no held-out loss yet"):
        plot_compare([empty], None, tmp_path / "picture.svg")


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_the_picture_is_the_same_each_time(make_run: MakeRun, tmp_path: Path, suffix: str) -> None:
    runs = [make_run("hf", hf_events(6)), make_run("sgd", sgd_events(5))]
    pictures = [
        plot_compare(runs, None, tmp_path / f"{name}{suffix}").read_bytes() for name in "ab"
    ]
    assert pictures[0] == pictures[1]
    assert len(pictures[0]) > 5000


def test_a_picture_has_other_colours_for_dark_pages(make_run: MakeRun, tmp_path: Path) -> None:
    picture = plot_compare([make_run("hf", hf_events(6))], None, tmp_path / "picture.svg")
    text = picture.read_text(encoding="utf-8")
    assert "@media (prefers-color-scheme: dark)" in text
    assert "held-out cross-entropy (nats a frame)" in text
    drawn = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})[;\"]", text))
    assert all(f'[style*="stroke: {colour}"]' in text for colour in drawn)


def test_an_unknown_picture_format_is_refused(make_run: MakeRun, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot draw doc"):
        plot_compare([make_run("hf", hf_events(3))], None, tmp_path / "picture.doc")
