"""What the study of optimisers makes of its runs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from asr_hf.cli.check import check_targets
from asr_hf.cli.compose import load_config
from asr_hf.report.run_data import RunData
from benchmarks.study import runs as runs_module
from benchmarks.study.figures import cost_to, figures, speed_up
from benchmarks.study.methods import METHODS, PRESETS, Preset
from benchmarks.study.page import write_page
from benchmarks.study.runs import Run, grid, tuned

PRESET = replace(PRESETS["full"], seeds=(0, 1), tests=("test", "test_noisy"))
BY_KEY = {method.key: method for method in METHODS}


def events(*losses: float, work: float = 10.0, seconds: float = 2.0) -> list[dict[str, Any]]:
    """One event an iteration, from the untrained network on."""
    return [
        {
            "iteration": k,
            "optimiser": "hf",
            "heldout_loss": loss,
            "heldout_frame_error": 0.5,
            "work": k * work,
            "seconds": k * seconds,
        }
        for k, loss in enumerate(losses)
    ]


def run_data(*losses: float, **costs: float) -> RunData:
    return RunData(Path("exp/x"), events(*losses, **costs))


def write_run(run: Run, *losses: float, seconds: float = 2.0, wrong: int = 10) -> None:
    """A finished, decoded run in the study's folder."""
    run.folder.mkdir(parents=True)
    lines = events(*losses, seconds=seconds)
    (run.folder / "events.jsonl").write_text("".join(json.dumps(e) + "\n" for e in lines))
    (run.folder / "config.yaml").write_text("name: x\n")
    wer = {"percent": 1.0 * wrong, "errors": wrong, "words": 100, "interval": [5.0, 15.0]}
    result = {
        "heldout_loss": min(losses),
        "heldout_frame_error": 0.5,
        "iterations": len(losses) - 1,
        "work": lines[-1]["work"],
        "seconds": lines[-1]["seconds"],
        "wer": wer | {"sets": dict.fromkeys(run.preset.tests, wer)},
    }
    (run.folder / "result.json").write_text(json.dumps(result))
    refs = [f"utt{n} one two three four five six seven eight nine ten" for n in range(10)]
    hyps = [line if n * 10 >= wrong else f"utt{n}" for n, line in enumerate(refs)]
    for name in run.preset.tests:
        decoded = run.folder / "decode" / name
        decoded.mkdir(parents=True)
        (decoded / "ref.txt").write_text("\n".join(refs) + "\n")
        (decoded / "hyp.txt").write_text("\n".join(hyps) + "\n")


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(runs_module, "ROOT", tmp_path)
    return tmp_path


def test_the_cost_to_a_loss_is_that_of_the_first_time_it_is_reached():
    run = run_data(4.0, 3.0, 2.0, 2.5, 1.5)
    assert cost_to(run, 2.2, "work") == 20.0
    assert cost_to(run, 3.0, "seconds") == 2.0
    assert cost_to(run, 1.0, "work") is None


def test_a_speed_up_is_the_ratio_of_costs_and_a_bound_where_the_slow_one_fails():
    fast, slow = run_data(4.0, 2.0, 1.0), run_data(4.0, 3.5, 3.0, 2.5, 2.0)
    assert speed_up(fast, slow, 2.0, "work") == {"ratio": 4.0, "at_least": False}
    assert speed_up(fast, slow, 1.0, "work") == {"ratio": 2.0, "at_least": True}
    assert speed_up(slow, fast, 1.0, "work") is None


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.key)
def test_every_run_s_settings_compose(name, method):
    preset = PRESETS[name]
    run = next(iter(grid(method, preset)), Run(method, preset, 0))
    check_targets(load_config(run.overrides))


def test_the_rate_is_that_of_the_lowest_heldout_loss_and_only_once_all_are_known(root):
    sgd = BY_KEY["sgd"]
    rates = grid(sgd, PRESET)
    for run, loss in zip(rates[:-1], (1.3, 1.1, 1.2), strict=True):
        write_run(run, 5.0, loss)
    assert tuned(sgd, PRESET) == []
    write_run(rates[-1], 5.0, 1.4)
    assert {run.rate for run in tuned(sgd, PRESET)} == {sgd.rates[1]}
    assert [run.seed for run in tuned(sgd, PRESET)] == [0, 1]


@pytest.fixture
def whole(root):
    """Every run of a study with two seeds; the second is twice as good for HF."""
    for key, method in BY_KEY.items():
        if method.rates:
            for run in grid(method, PRESET):
                write_run(run, 5.0, 3.0, 2.0 + run.rate)
            best = min(method.rates)
            write_run(Run(method, PRESET, 1, best), 5.0, 3.0, 2.0 + best)
            continue
        for seed in PRESET.seeds:
            losses = (5.0, 1.0, 0.9) if key == "best" else (5.0, 4.0, 3.0)
            write_run(Run(method, PRESET, seed), *losses, seconds=2.0 / (1 + seed), wrong=20)
    return root


def test_figures_are_medians_over_seeds_of_ratios_within_a_seed(whole):
    found = figures(PRESET)
    # Two iterations against one; the second seed's second counts half as long.
    assert found["best_over_sgd"]["work"] == pytest.approx(2.0)
    assert found["best_over_sgd"]["seconds"] == pytest.approx(3.0)
    assert found["best_over_plain"]["seconds"] == pytest.approx(2.0)
    assert found["paper_over_plain"]["work"] == pytest.approx(1.0)
    assert found["methods"]["sgd"]["rate"] == min(BY_KEY["sgd"].rates)
    for name in PRESET.tests:
        assert found["wer_best_minus_sgd"][name]["difference"] == pytest.approx(10.0)


def test_the_page_names_every_method_ratio_and_command(whole, tmp_path):
    results = {"machine": {"cpu": "a CPU", "torch": "2"}, **figures(PRESET)}
    page = tmp_path / "page.md"
    write_page(PRESET, results, "make study", page)
    text = page.read_text()
    assert all(f"| {method.label} |" in text for method in METHODS)
    # Two grids with a further seed each, and five methods with two.
    grids = sum(len(method.rates) + 1 for method in METHODS if method.rates)
    assert text.count("\nasr-hf train ") == grids + 2 * sum(not m.rates for m in METHODS)
    assert page.with_suffix(".svg").exists()


def test_an_unfinished_study_still_has_figures(root):
    plain: Preset = PRESET
    write_run(Run(BY_KEY["plain"], plain, 0), 5.0, 4.0)
    found = figures(plain)
    assert found["paper_over_plain"]["work"] is None
    assert len(found["methods"]["plain"]["runs"]) == 1


def test_the_page_says_where_the_faster_never_reached_the_slower_one_s_loss(root, tmp_path):
    write_run(Run(BY_KEY["plain"], PRESET, 0), 5.0, 3.0)
    write_run(Run(BY_KEY["paper"], PRESET, 0), 5.0, 4.0)
    page = tmp_path / "page.md"
    write_page(PRESET, {"machine": {"cpu": "a CPU", "torch": "2"}, **figures(PRESET)}, "make", page)
    (line,) = (x for x in page.read_text().splitlines() if x.startswith("| both (the paper) over"))
    assert line.count("not reached") == 2
