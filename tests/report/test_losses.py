"""What the loss of a run counts."""

from __future__ import annotations

import pytest
import yaml

from asr_hf.report.losses import UNKNOWN, loss_of
from asr_hf.runtime.resources import conf_dir


def of_option(name: str, **changes: float):
    text = (conf_dir() / "criterion" / f"{name}.yaml").read_text(encoding="utf-8")
    return loss_of({"criterion": yaml.safe_load(text) | changes})


@pytest.mark.parametrize(
    ("name", "axis"),
    [
        ("cross_entropy", "cross-entropy (nats a frame)"),
        ("mmi", "MMI loss (nats a frame)"),
        ("smbr", "expected share of wrong frames"),
        ("mpfe", "expected share of frames in a wrong phone"),
        ("lfmmi", "LF-MMI loss + 0.1 × cross-entropy (nats a frame)"),
    ],
)
def test_each_criterion_has_its_axis(name: str, axis: str) -> None:
    assert of_option(name).axis == axis


def test_cross_entropy_mixed_in_is_told() -> None:
    mixed = of_option("smbr", smoothing=0.1)
    assert mixed.axis == "0.9 × expected share of wrong frames + 0.1 × cross-entropy"
    assert of_option("mmi", smoothing=0.1).unit == "nats"


@pytest.mark.parametrize(
    "config", [{}, {"criterion": None}, {"criterion": {"_target_": "mine.Loss", "smoothing": "x"}}]
)
def test_of_other_criteria_no_unit_is_made_up(config: dict[str, object]) -> None:
    assert loss_of(config) == UNKNOWN and UNKNOWN.unit == ""
