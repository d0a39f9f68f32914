"""Reports, comparisons and pictures in a real browser: light, dark, narrow."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from asr_hf.report.comparison.page import page
from asr_hf.report.html import write_report
from asr_hf.stages.compare import compare

from ..chromium import LOOKS, Chromium
from .conftest import Event, hf_events, sgd_events, write_run

ROOT = Path(__file__).resolve().parents[2]
PICTURES = [*sorted((ROOT / "docs").glob("*.svg")), ROOT / "benchmarks/results/curvature.svg"]


def long_events(count: int = 400) -> list[Event]:
    """Events of a long HF run: CG stops for many reasons, and every tenth step is rejected."""
    rng = np.random.default_rng(0)
    reasons = ["progress", "residual", "max_iterations", "non_positive_curvature"]
    changes: list[dict[str, Any]] = [
        {
            "cg_iterations": int(12 + 0.25 * i + rng.integers(0, 40)),
            "cg_reason": str(rng.choice(reasons)),
            "accepted": i % 10 > 0,
            "lambda": 10 ** float(rng.normal(-6, 2)),
            # Half a day.
            "seconds": 110.0 * i,
            "heldout_loss": 1.2 + 3.6 * math.exp(-i / 60),
        }
        for i in range(count + 1)
    ]
    events = hf_events(count)
    return [events[0], *(e | c for e, c in zip(events[1:], changes[1:], strict=True))]


def sequence_events() -> list[Event]:
    """Events of an sMBR run, whose losses lie near one another."""
    return [
        event | {"heldout_loss": loss, "train_loss": event["train_loss"] and 0.9 * loss}
        for i, event in enumerate(hf_events(30))
        if (loss := 0.3101 + 0.0012 * math.exp(-i / 8))
    ]


@pytest.fixture(scope="module")
def pages(tmp_path_factory) -> list[Path]:
    """The reports of four runs, and the comparison of all."""
    root = tmp_path_factory.mktemp("pages")
    runs = [
        write_run(root / "first-order", sgd_events(20, "adamw")),
        write_run(root / "second-order", hf_events(20)),
        write_run(root / "a-long-run-with-a-name-that-is-long-too", long_events()),
        write_run(root / "sequence", sequence_events(), finished=False),
    ]
    path = runs[3] / "config.yaml"
    criterion = {"_target_": "asr_hf.criteria.mbr.MinimumBayesRisk", "level": "pdf"}
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | {"criterion": criterion}))
    compared = root / "compare.html"
    reports = [write_report(run) for run in runs]
    compared.write_text(page(compare(runs), root, "All of them"), encoding="utf-8")
    return [*reports, compared]


@pytest.mark.parametrize("look", LOOKS)
def test_pages_show_all_they_hold(browser: Chromium, pages: list[Path], look: str) -> None:
    for path in pages:
        browser.open(path, look)
        count = browser.ask("document.querySelectorAll('figure > svg').length")
        assert count >= 2, path
        assert browser.faults() == [], path


@pytest.mark.parametrize("look", ["light", "dark"])
def test_pictures_of_the_documentation_are_legible(browser: Chromium, look: str) -> None:
    for path in PICTURES:
        browser.open(path, look)
        assert browser.faults() == [], path


def test_faults_are_found(browser: Chromium, pages: list[Path], tmp_path: Path) -> None:
    """What the tests above rest on."""
    text = pages[1].read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    for old, new, told in (
        ("<main>", '<main><img src="none.png">', "error"),
        ("<main>", '<main><div style="width: 2000px">wide</div>', "wider than the window"),
        ('<text class="x" x="', '<text class="x" x="1', "outside its picture"),
        ("svg text { font-size: 12px", "svg text { font-size: 40px", "run into one another"),
        ("--soft: #626a73", "--soft: #fbfbf9", "not to be told from its ground"),
        ("<h3>Damping</h3>", '<h3>Damping</h3><svg width="9" height="9"></svg>', "nothing drawn"),
    ):
        assert old in text
        broken.write_text(text.replace(old, new), encoding="utf-8")
        browser.open(broken, "light")
        assert any(told in fault for fault in browser.faults()), json.dumps(told)
