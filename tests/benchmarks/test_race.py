"""What the race runs, what it makes of its runs, and that it does nothing twice."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from typing import Any

import pytest

from asr_hf.cli.check import check_targets
from asr_hf.cli.compose import load_config
from asr_hf.runtime.errors import InputError, RunError
from benchmarks.race import runner, summary, trials, words
from benchmarks.race.figures import finished, method_figures, profile, speedup, workload_figures
from benchmarks.race.page import write_page
from benchmarks.race.plan import OURS, Plan, read_plan
from benchmarks.race.results import Results
from benchmarks.race.runner import Pool, check_corpora
from benchmarks.race.space import Dimension, overrides_at, points
from benchmarks.race.steps import ladder, pending, steps_figures
from benchmarks.race.summary import summarise
from benchmarks.race.trials import Selection, Trial, ordered, our_trials, tuned_trials

PLAN = read_plan()
RMS, QUEEN = PLAN.workloads["prompts5-relu-rms"], PLAN.workloads["queen-relu-batch"]
FRAMES = {"prompts5": 100_000}


def record(trial: Trial, *losses: float, every: float = 10.0, **more: Any) -> dict[str, Any]:
    """The result of a run with a look every so many seconds, from the start on."""
    looks = [
        {"iteration": k, "seconds": k * every, "gradient_frames": 1000 * k, "heldout_loss": loss}
        for k, loss in enumerate(losses)
    ]
    return {
        "workload": trial.workload,
        "method": trial.method,
        "label": trial.label,
        "seed": trial.seed,
        "overrides": list(trial.overrides),
        "digest": trial.digest,
        "state": "done",
        "seconds": looks[-1]["seconds"],
        "iterations": len(losses) - 1,
        "parameters": 1000,
        "heldout_loss": min(losses),
        "looks": looks,
        "cpu": "a CPU",
        "torch": "2",
        "core_share": 1.0,
        **more,
    }


def lost(trial: Trial) -> dict[str, Any]:
    return record(trial, 5.0) | {"state": "failed", "failure": "the training loss is nan"}


@pytest.fixture
def results(tmp_path):
    return Results(tmp_path / "race.json", "a CPU")


@pytest.fixture
def root(tmp_path, monkeypatch):
    for module in (trials, runner):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(runner, "commit_of", lambda path=None: "0" * 40)
    monkeypatch.setattr(summary, "PAPER_TABLE", tmp_path / "paper-table.json")
    return tmp_path


def test_points_are_the_same_for_the_same_seed_and_spread_out():
    first, again, other = (points(PLAN.space, seed, 8) for seed in (0, 0, 1))
    assert first == again != other
    assert points(PLAN.space, 0, 3) == first[:3]
    # Each eighth of every range has one of the first eight points.
    for place in range(len(PLAN.space)):
        assert sorted(int(8 * point[place]) for point in first) == list(range(8))


@pytest.mark.parametrize(
    ("kind", "values", "low", "mid"),
    [
        ("log", (0.001, 0.1), 0.001, 0.01),
        ("linear", (1.0, 3.0), 1.0, 2.0),
        ("one_minus_log", (0.001, 0.1), 0.999, 0.99),
        ("choice", ("a", "b"), "a", "b"),
    ],
)
def test_ranges_are_gone_through_from_end_to_end(kind, values, low, mid):
    dimension = Dimension("x", kind, values, {})
    assert dimension.value("adamw", 0.0) in (low, pytest.approx(low))
    assert dimension.value("adamw", 0.5) in (mid, pytest.approx(mid))


def test_a_key_may_be_for_some_methods_or_workloads_alone():
    space = (
        Dimension("a", "linear", None, {"sgd": (0.0, 1.0)}),
        Dimension("b", "linear", (0.0, 1.0), {}, ("queen",)),
        Dimension("c", "linear", (0.0, 1.0), {}),
    )
    point = [0.25, 0.5, 0.75]
    assert overrides_at(space, point, "sgd", "queen") == ["a=0.25", "b=0.5", "c=0.75"]
    # The same point, wherever a key is not.
    assert overrides_at(space, point, "adamw", "prompts5") == ["c=0.75"]


SECOND_WAVE = [method for method in PLAN.methods if method not in PLAN.first_wave]


@pytest.mark.parametrize(
    ("name", "method"),
    [
        *itertools.product(PLAN.workloads, (OURS, *PLAN.first_wave)),
        *((RMS.name, method) for method in SECOND_WAVE),
    ],
)
def test_every_run_s_settings_compose(name, method):
    workload = PLAN.workloads[name]
    if method == OURS:
        trial = our_trials(PLAN, workload, 0)[-1]
        seconds = workload.seconds / PLAN.horizons[-1]
    else:
        trial, seconds = tuned_trials(PLAN, workload, method, 0)[-1], workload.seconds
    config = load_config(trial.command)
    check_targets(config)
    assert config.trainer.horizon.seconds == pytest.approx(seconds)
    assert config.name == f"race/{trial.name}"


@pytest.mark.parametrize("method", [OURS, *PLAN.steps.rates])
@pytest.mark.parametrize("batch", [min(PLAN.steps.batches), max(PLAN.steps.batches)])
def test_every_run_with_other_minibatches_composes(method, batch):
    trial = ladder(PLAN, RMS, method, batch, FRAMES["prompts5"])[0][0]
    config = load_config(trial.command)
    check_targets(config)
    found = config.sampling.gradient if method == OURS else config.trainer.batch_frames
    assert found == batch
    batches = math.ceil(FRAMES["prompts5"] / batch)
    steps = config.trainer.horizon.epochs * batches
    assert steps == pytest.approx(PLAN.steps.batches[batch][0], rel=1e-3)
    if method != OURS:
        assert config.trainer.evaluations_per_epoch <= batches


def test_a_short_sitting_has_whole_comparisons_workload_by_workload():
    listed = ordered(PLAN, Selection.whole(PLAN), ("tuned", "self"))
    assert len(listed) == len(set(listed))
    first = [trial for trial in listed if trial.workload == listed[0].workload and trial.seed == 0]
    size = len(PLAN.horizons) + 2 + len(PLAN.first_wave)
    assert listed[:size] == first[:size]
    assert {trial.method for trial in listed[:size]} == {OURS, *PLAN.first_wave}
    assert [t.workload for t in listed[: size * len(PLAN.workloads) : size]] == list(PLAN.workloads)
    of_a_study = len(PLAN.first_wave) * PLAN.trials + 2 + len(PLAN.horizons)
    assert len(listed) == len(PLAN.workloads) * len(PLAN.studies) * of_a_study


def test_other_settings_have_another_name(monkeypatch):
    (trial, *_) = our_trials(PLAN, RMS, 0)
    monkeypatch.setattr(trials, "frozen_preset", lambda preset: "another optimiser")
    assert our_trials(PLAN, RMS, 0)[0].name != trial.name
    assert our_trials(PLAN, replace(RMS, seconds=61), 0)[0].name != trial.name
    assert tuned_trials(PLAN, RMS, "sgd", 0)[0].name != tuned_trials(PLAN, RMS, "sgd", 1)[0].name


class Runs:
    """Stands for asr-hf: notes what is run; runs whose names are given fail with a code."""

    def __init__(self, codes: dict[str, int] | None = None) -> None:
        self.codes, self.done, self.cores = codes or {}, [], set()

    def __call__(self, verb: str, trial: Trial, core: int) -> runner.Outcome:
        self.done.append((verb, trial.name))
        self.cores.add(core)
        trial.folder.mkdir(parents=True, exist_ok=True)
        runner.log_file(trial).write_text("sgd: the training loss is nan\n")
        losses = [(0, 3.0, 5.0), (1, 13.0, 2.0)]
        events = [
            {"iteration": n, "seconds": s, "heldout_loss": x, "frames": {"gradient": 512 * n}}
            for n, s, x in losses
        ]
        lines = "".join(json.dumps(event) + "\n" for event in events)
        (trial.folder / "events.jsonl").write_text(lines)
        of_set = {"percent": 12.5, "errors": 1, "words": 8, "interval": [0, 20], "more": 1}
        result = {"heldout_loss": 2.0, "wer": {"sets": {"test": of_set}}}
        (trial.folder / "result.json").write_text(json.dumps(result))
        return runner.Outcome(self.codes.get(trial.name, 0), 1.0)


def test_nothing_is_done_twice_and_failures_are_results(root, results, monkeypatch):
    listed = tuned_trials(PLAN, RMS, "sgd", 0)
    runs = Runs({listed[1].name: 1})
    monkeypatch.setattr(runner, "run", runs)
    Pool(results, 1).train(listed[:3])
    assert [name for _, name in runs.done] == [trial.name for trial in listed[:3]]
    Pool(Results(results.path, "a CPU"), 1).train(listed)
    assert [name for _, name in runs.done] == [trial.name for trial in listed]
    kept = Results(results.path, "a CPU")
    assert [kept.of(trial)["state"] for trial in listed] == ["done", "failed", *["done"] * 3]
    assert "loss is nan" in kept.of(listed[1])["failure"]
    # What comes before the first step is outside of the time.
    assert [look["seconds"] for look in kept.of(listed[0])["looks"]] == [0.0, 10.0]
    assert kept.of(listed[0])["setup_seconds"] == 3.0


def test_a_wrong_command_ends_the_race_and_time_that_is_up_starts_no_run(
    root, results, monkeypatch
):
    listed = tuned_trials(PLAN, RMS, "sgd", 0)
    runs = Runs({listed[0].name: 2})
    monkeypatch.setattr(runner, "run", runs)
    with pytest.raises(RunError, match="exit code 2"):
        Pool(results, 1).train(listed[:1])
    assert results.of(listed[0]) is None
    Pool(results, 1, minutes=0.0).train(listed)
    assert len(runs.done) == 1
    with pytest.raises(InputError, match="--jobs 1000"):
        Pool(results, 1000)


def test_a_corpus_that_is_missing_is_named_with_what_makes_it(root):
    with pytest.raises(InputError, match="make data-queen"):
        check_corpora(PLAN, ["queen-relu-batch"])
    store = root / "data/queen/store-triphone/train/store.json"
    store.parent.mkdir(parents=True)
    store.write_text(json.dumps({"frames": 7}))
    check_corpora(PLAN, ["queen-relu-batch"])


def test_the_speed_up_is_to_the_best_baseline_s_loss(results):
    ours, theirs = our_trials(PLAN, RMS, 0), tuned_trials(PLAN, RMS, "adamw", 0)
    good, bad = record(theirs[0], 5.0, 3.0, 2.0, 1.0, 1.2), record(theirs[1], 5.0, 4.0)
    found = [(theirs[0], good), (theirs[1], bad)]
    long, short = record(ours[0], 5.0, 3.0, 0.9), record(ours[1], 5.0, 0.95, every=15.0)
    figures = speedup([(ours[0], long), (ours[1], short)], found)
    assert figures["target"] == 1.0 and figures["best"] == theirs[0].name
    assert figures["theirs"] == 30.0 and figures["ours"] == 15.0
    assert figures["speedup"] == pytest.approx(2.0)
    slow = record(ours[0], 5.0, 1.0, every=60.0)
    assert speedup([(ours[0], slow)], found)["speedup"] == pytest.approx(0.5)
    never = speedup([(ours[0], record(ours[0], 5.0, 1.01))], found)
    assert never["speedup"] == 0.0 and never["ours"] is None
    assert speedup([], found) is None and speedup([(ours[0], long)], []) is None


def fill(results: Results, plan: Plan = PLAN) -> None:
    """Three studies of a workload: ours twice as fast, half as fast, and never there."""
    for seed, every in ((0, 10.0), (1, 40.0), (2, 1.0)):
        loss = 0.9 if seed < 2 else 1.1
        for trial in our_trials(plan, RMS, seed):
            results.add(trial, record(trial, 5.0, loss, every=every))
        for trial in tuned_trials(plan, RMS, "adamw", seed):
            results.add(trial, record(trial, 5.0, 2.0, 1.0))
        for trial in tuned_trials(plan, RMS, "sgd", seed):
            results.add(trial, lost(trial))


def test_the_figure_of_a_workload_is_the_median_over_studies(results):
    fill(results)
    figures = workload_figures(PLAN, RMS, results)
    assert [each["speedup"] for each in figures["tuned"]] == [2.0, 0.5, 0.0]
    assert figures["tuned_speedup"] == 0.5 and figures["self_tuned_speedup"] is None
    assert figures["equal_time_loss_ours"] == 0.9 and figures["equal_time_loss_best"] == 1.0
    assert figures["trials_done"] == 2 * 3 * PLAN.trials
    of_sgd = method_figures(PLAN, RMS, results, "sgd")
    assert of_sgd["failed"] == of_sgd["runs"] == 3 * PLAN.trials and of_sgd["loss"] is None
    ours = method_figures(PLAN, RMS, results, OURS)
    assert ours["missed"] == 1 and ours["to_target"] == 25.0
    ratios = profile(PLAN, results)
    assert ratios[OURS] == [1.0, 2.0, math.inf] and ratios["adamw"] == [2.0, 1.0, 1.0]
    assert "sgd" not in ratios


def test_a_workload_has_the_machine_that_has_most_of_it(tmp_path):
    path = tmp_path / "race.json"
    ours, here = our_trials(PLAN, RMS, 0), Results(path, "here")
    here.add(ours[0], record(ours[0], 5.0, 2.0))
    other = Results(path, "there")
    for trial in (*ours[1:3], *our_trials(PLAN, QUEEN, 0)[:1]):
        other.add(trial, record(trial, 5.0, 1.0))
    results = Results(path, "here")
    assert results.of(ours[1]) is None
    expected = {w.name: {t.name for t in our_trials(PLAN, w, 0)} for w in (RMS, QUEEN)}
    results.choose_machines(expected)
    assert results.machine_of(RMS.name) == results.machine_of(QUEEN.name) == "there"
    assert results.of(ours[0]) is None and results.of(ours[1]) is not None
    # As much of both: that of here.
    results.choose_machines({RMS.name: {ours[0].name, ours[1].name}})
    assert results.machine_of(RMS.name) == "here"


def test_words_are_those_of_the_best_trial_with_every_seed(results):
    fill(results)
    best = tuned_trials(PLAN, RMS, "adamw", 1)[3]
    results.add(best, record(best, 5.0, 0.5))
    chosen = words.sides(PLAN, RMS, results)["best"]
    assert [trial.seed for trial in chosen] == list(PLAN.studies) and chosen[1] == best
    others = [[o for o in t.overrides if "runtime.seed" not in o] for t in chosen]
    assert others[0] == others[1] == others[2]
    assert [len(finished(results, [trial])) for trial in chosen] == [0, 1, 0]


def test_words_are_counted_once_after_what_is_missing_is_trained(root, results, monkeypatch):
    fill(results)
    runs = Runs()
    for module in (runner, words):
        monkeypatch.setattr(module, "run", runs)
    words.count_words(PLAN, [RMS.name], PLAN.studies, Pool(results, 1))
    # Two further seeds of the best trial; both sides' runs of three seeds: folders may be gone.
    verbs = [verb for verb, _ in runs.done]
    assert verbs.count("train") == 2 + 6 and verbs.count("decode") == verbs.count("score") == 6
    words.count_words(PLAN, [RMS.name], PLAN.studies, Pool(results, 1))
    assert len(runs.done) == len(verbs)
    figures = words.word_figures(PLAN, RMS, results)
    assert figures["wer_ours"] == figures["wer_best"] == 12.5 and figures["wer_best_seeds"] == 3


def test_words_of_both_sides_may_be_of_another_machine_than_times(root, results, monkeypatch):
    fill(results)
    other = Results(results.path, "another")
    other.choose_machines({RMS.name: {t.name for t in our_trials(PLAN, RMS, 0)}})
    runs = Runs()
    for module in (runner, words):
        monkeypatch.setattr(module, "run", runs)
    words.count_words(PLAN, [RMS.name], [0], Pool(other, 1))
    verbs = [verb for verb, _ in runs.done]
    assert verbs.count("train") == 2 * verbs.count("decode") == 4
    figures = words.word_figures(PLAN, RMS, other)
    assert figures["wer_machine"] == "another" and other.machine_of(RMS.name) != "another"
    assert figures["wer_ours_seeds"] == figures["wer_best_seeds"] == 1


def test_the_fewest_steps_that_reach_the_loss_are_found_by_halving(results):
    target = PLAN.steps.target
    rungs = ladder(PLAN, RMS, "adamw", 512, FRAMES["prompts5"])
    first = pending(PLAN, results, [RMS.name], FRAMES)
    assert {t for t in first if t in itertools.chain(*rungs)} == set(rungs[2])
    assert not set(rungs[2]) & set(pending(PLAN, results, [RMS.name], FRAMES, [2048]))
    for rung, losses, then in ((2, [target], 0), (0, [target + 0.1], 1), (1, [target, target], 1)):
        for trial in rungs[rung]:
            results.add(trial, record(trial, 5.0, *losses))
        left = set(pending(PLAN, results, [RMS.name], FRAMES))
        assert bool(set(rungs[then]) & left) == (rung != 1)
    found = steps_figures(PLAN, results, FRAMES)["steps"]["workloads"][RMS.name]["adamw"]
    assert found["512"]["steps"] == pytest.approx(1000 / 512)
    assert found["2048"]["steps"] is None and not found["2048"]["exhausted"]


def test_steps_on_many_workers_cost_what_all_repeat_and_their_share(results):
    plan = replace(PLAN, steps=replace(PLAN.steps, workloads=(RMS.name,)))
    # On one core a step takes 10 ms and 20 μs a frame; ours are half as many.
    for method, steps in ((OURS, 100), ("adamw", 200), ("muon", 400)):
        for batch in plan.steps.batches:
            seconds = steps * (0.01 + 2e-5 * batch)
            for trial in ladder(plan, RMS, method, batch, FRAMES["prompts5"])[0]:
                of_trial = record(trial, 5.0, plan.steps.target, iterations=steps, seconds=seconds)
                of_trial["looks"][-1]["gradient_frames"] = steps * batch
                results.add(trial, of_trial)
    figures = steps_figures(plan, results, FRAMES)
    assert figures["sequential_steps_speedup_8k"] == pytest.approx(2.0)
    link, workers = plan.steps.link, plan.steps.workers
    step = 0.01 + 2e-5 * 512 / workers + link.all_reduce(4 * 1000, workers)
    rows = figures["steps"]["workloads"][RMS.name]
    assert rows["adamw"]["512"]["modelled_seconds"] == pytest.approx(200 * step, rel=1e-3)
    assert 1.0 < figures["modelled_speedup_64_workers"] < 2.0


def write(results: Results, folder) -> str:
    summarise(PLAN, results)
    page = folder / "race.md"
    write_page(PLAN, results, page)
    return page.read_text()


def test_the_page_says_what_was_not_run(results, root):
    text = write(results, root)
    assert text.count("not run") >= 6 * len(PLAN.workloads)
    assert "60 of 60 trials" in text and "SOAP: nowhere" in text
    assert not list(root.glob("*.svg"))


def test_the_page_prints_defeats_failures_and_results_that_do_not_count(results, root):
    fill(results)
    older = replace(our_trials(PLAN, RMS, 0)[0], frozen="older")
    results.add(older, record(older, 5.0, 0.1))
    text = write(results, root)
    (line,) = [x for x in text.splitlines() if x.startswith(f"| {RMS.label} ")]
    assert "| 0.50× |" in line and "30 of 60" in line
    assert "by HF never" in text and "the training loss is nan" in text
    assert "1 results are of other settings" in text
    assert {path.name for path in root.glob("*.svg")} == {"race-curves.svg", "race-profile.svg"}
    kept = json.loads(results.path.read_text())
    assert kept["workloads"][RMS.name]["tuned_speedup"] == 0.5
    assert kept["workloads"][QUEEN.name]["tuned_speedup"] is None
    assert kept["sequential_steps_speedup_8k"] is None and kept["paper_table"] is None


def test_the_paper_s_rows_are_entries_of_their_own(results, root):
    rows = {
        key: {"seconds": 10.0 * n, "work": 1e6, "cg_iterations": 9, "wer": 20.0, "runs": 1}
        for n, key in enumerate(("plain", "preconditioner", "sampling", "both"), start=1)
    }
    table = {"rows": rows, "both_over_plain_seconds": 0.25, "runs": [], "corpora": {}}
    (root / "paper-table.json").write_text(json.dumps(table))
    text = write(results, root)
    kept = json.loads(results.path.read_text())["paper_table"]
    assert kept == {**rows, "both_over_plain_seconds": 0.25}
    assert "both over plain: 0.25×" in text and "| both | 40 s |" in text


def test_the_page_has_a_speed_up_of_nought_as_not_reached(results, root):
    for trial in our_trials(PLAN, RMS, 0):
        results.add(trial, record(trial, 5.0, 1.5))
    trial = tuned_trials(PLAN, RMS, "adamw", 0)[0]
    results.add(trial, record(trial, 5.0, 1.0))
    (line,) = [x for x in write(results, root).splitlines() if x.startswith(f"| {RMS.label} ")]
    assert "| not reached |" in line
