"""Dataclasses from plain values: what fits, what is refused, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from asr_hf.runtime.errors import InputError
from asr_hf.settings.maker import ONE_OR_MORE, MissingSetting, make


@dataclass(frozen=True)
class Inner:
    steps: int
    scale: float | None


@dataclass(frozen=True)
class Outer:
    jobs: int
    beam: float
    flag: bool
    name: str
    folder: Path | None
    weights: tuple[float, ...]
    by_name: Mapping[str, Path]
    inner: Inner | None
    sets: Mapping[str, Inner]
    size: str | int | None
    folders: tuple[Path, ...] | None = field(default=None, metadata=ONE_OR_MORE)


VALUES = {
    "jobs": 2,
    "beam": 10,
    "flag": True,
    "name": "a",
    "folder": "exp/a",
    "weights": [0.1, 1],
    "by_name": {"dev": "data/dev"},
    "inner": {"steps": 3, "scale": None, "of the user": 5},
    "sets": {"dev": {"steps": 1, "scale": 0.5}},
    "size": "4GB",
}


def test_values_of_every_kind_are_made():
    assert make(Outer, VALUES, "group") == Outer(
        jobs=2,
        beam=10,
        flag=True,
        name="a",
        folder=Path("exp/a"),
        weights=(0.1, 1),
        by_name={"dev": Path("data/dev")},
        inner=Inner(3, None),
        sets={"dev": Inner(1, 0.5)},
        size="4GB",
    )


def test_numbers_stay_as_they_are_written_but_whole_ones_count():
    made = make(Outer, VALUES | {"jobs": 5e3}, "group")
    assert type(made.beam) is int and type(made.weights[1]) is int
    assert made.jobs == 5000 and type(made.jobs) is int


@pytest.mark.parametrize(
    ("given", "folders"),
    [(None, None), ("a", (Path("a"),)), (["a", "b"], (Path("a"), Path("b"))), ([], ())],
)
def test_one_value_may_stand_for_a_list_of_one(given, folders):
    assert make(Outer, VALUES | {"folders": given}, "group").folders == folders


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"jobs": "2"}, "group.jobs: a text where a number belongs"),
        ({"jobs": 2.5}, "group.jobs: the number 2.5 where a number belongs"),
        ({"jobs": True}, "group.jobs: true where a number belongs"),
        ({"beam": None}, "group.beam: null where a number belongs"),
        ({"beam": False}, "group.beam: false where a number belongs"),
        ({"flag": 1}, "group.flag: the number 1 where true or false belongs"),
        ({"name": 3}, "group.name: the number 3 where a text belongs"),
        ({"folder": 3}, "group.folder: the number 3 where a text or null belongs"),
        ({"weights": 0.1}, "group.weights: the number 0.1 where a list belongs"),
        ({"weights": [0.1, "x"]}, "group.weights[1]: a text where a number belongs"),
        ({"by_name": ["a"]}, "group.by_name: a list where settings by name belongs"),
        ({"by_name": {"dev": 1}}, "group.by_name.dev: the number 1 where a text belongs"),
        ({"inner": 1}, "group.inner: the number 1 where settings by name"),
        ({"inner": {"steps": "x", "scale": 1}}, "group.inner.steps: a text where a number belongs"),
        ({"sets": {"dev": {"steps": 1, "scale": "x"}}}, "group.sets.dev.scale: a text where a num"),
        ({"size": True}, "group.size: true where a text or a number or null belongs"),
        ({"folders": [1]}, "group.folders[0]: the number 1 where a text belongs"),
    ],
)
def test_a_value_of_a_wrong_kind_is_named_with_its_whole_key(change, problem):
    with pytest.raises(InputError) as caught:
        make(Outer, VALUES | change, "group")
    assert caught.value.problem.startswith(problem)


def test_what_is_missing_is_named_with_its_whole_key():
    with pytest.raises(MissingSetting, match=r"group\.jobs"):
        make(Outer, {k: v for k, v in VALUES.items() if k != "jobs"}, "group")
    with pytest.raises(MissingSetting, match=r"group\.inner\.scale"):
        make(Outer, VALUES | {"inner": {"steps": 1}}, "group")
