"""What the paper's table makes of its runs."""

from __future__ import annotations

import json

import pytest
import torch

from asr_hf.cli.check import check_targets
from asr_hf.cli.compose import load_config
from asr_hf.curvature.precision import Precision
from asr_hf.runtime.files import read_json
from benchmarks.iteration import make_objective
from benchmarks.paper_table import __main__ as command
from benchmarks.paper_table import commands, runs
from benchmarks.paper_table.figures import decoded_name, record_of, summary
from benchmarks.paper_table.page import write_page
from benchmarks.paper_table.reasons import Bench
from benchmarks.paper_table.settings import CORPORA, ROWS, SEEDS
from benchmarks.run import QUICK_PLANS

CORPUS = CORPORA["prompts5"]
BY_KEY = {row.key: row for row in ROWS}


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    monkeypatch.setattr(command, "RESULTS", tmp_path / "paper-table.json")
    monkeypatch.setattr(command, "REASONS", tmp_path / "reasons.json")
    return tmp_path


def write_decoded(what, seed, wrong):
    for name in CORPUS.tests:
        folder = commands.folder_of(CORPUS, what, seed) / "decode" / name
        folder.mkdir(parents=True)
        (folder / "result.json").write_text(json.dumps({"errors": wrong, "words": 100}))


def write_run(row, seed, losses, seconds=1.0, wrong=20, cg=10):
    """A trained row, decoded after every iteration; its word errors fall by one an iteration."""
    folder = commands.folder_of(CORPUS, row, seed)
    folder.mkdir(parents=True)
    events = [
        {
            "iteration": k,
            "optimiser": "hf",
            "heldout_loss": loss,
            "seconds": k * seconds,
            "work": 5.0 * k,
            "cg_iterations": cg if k else None,
            "gradient_frames": 6000,
        }
        for k, loss in enumerate(losses)
    ]
    (folder / "events.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events))
    (folder / "config.yaml").write_text("name: x\n")
    (folder / "result.json").write_text(json.dumps({"heldout_loss": min(losses)}))
    for k in range(len(losses)):
        write_decoded(decoded_name(row, k), seed, wrong - k)


def record(row, seed):
    return record_of(CORPUS, BY_KEY[row], seed, 0)


def test_rows_are_told_at_the_plain_one_s_lowest_loss_and_whole_where_they_miss_it(root):
    write_run("plain", 0, [0.5, 0.4, 0.3, 0.35], cg=10)
    write_run("both", 0, [0.5, 0.3, 0.2], seconds=2.0, cg=7)
    write_run("sampling", 0, [0.5, 0.32, 0.31, 0.33], cg=4)
    plain, both, sampling = (record(row, 0) for row in ("plain", "both", "sampling"))
    # The lowest loss, not the last one; and the CG steps of the iterations before it only.
    assert (plain["target"], plain["iterations"], plain["cg_iterations"]) == (0.3, 2, 20)
    assert (both["reached"], both["seconds"], both["cg_iterations"]) == (True, 2.0, 7)
    assert (both["wer"]["errors"], both["end"]["wer"]["errors"]) == (19, 18)
    assert (sampling["reached"], sampling["work"], sampling["cg_iterations"]) == (False, 15.0, 12)
    # The words of its best model, which is not its last.
    assert sampling["wer"]["errors"] == 18


def test_ratios_are_taken_within_a_seed_and_medians_over_seeds(root):
    for seed, slow, fast in ((0, 4.0, 1.0), (1, 9.0, 3.0), (2, 1.0, 2.0)):
        write_run("plain", seed, [0.5, 0.4], seconds=slow, wrong=10 + seed)
        write_run("both", seed, [0.5, 0.4], seconds=fast)
    found = summary([record(row, seed) for seed in SEEDS for row in ("plain", "both")])
    assert found["both_over_plain_seconds"] == 3.0  # of 4, 3 and 1/2
    assert found["both_over_plain_work"] == 1.0
    assert found["sampling_over_plain_seconds"] is None
    assert found["rows"]["plain"]["seconds"] == 4.0 and found["rows"]["plain"]["wer"] == 10.0
    assert found["rows"]["preconditioner"] == dict.fromkeys(
        ("seconds", "work", "cg_iterations", "wer", "end_wer")
    ) | {"runs": 0, "reached": 0}
    assert found["corpora"]["prompts5"]["both_over_plain_seconds"] == 3.0


def test_the_page_and_the_figures_stand_while_rows_are_missing(root, tmp_path):
    page = tmp_path / "page.md"
    command.write([], command.RESULTS, page)
    assert "No run is finished yet" in page.read_text()
    write_run("plain", 0, [0.5, 0.4])
    write_run("both", 0, [0.5, 0.45])
    assert record("preconditioner", 0) is None
    command.write(command.collect(CORPUS, [0], 0, []), command.RESULTS, page)
    lines = [line for line in page.read_text().splitlines() if line.startswith("|")]
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["HF", "+ both"]
    assert "≥ 1 " in lines[3] and "≤ 1.00×" in lines[3]
    assert page.with_suffix(".svg").stat().st_size > 1000


def test_finished_runs_are_kept_and_done_again_only_with_other_settings(root, monkeypatch):
    for row in BY_KEY:
        write_run(row, 0, [0.5, 0.4])
    known = command.collect(CORPUS, [0], 0, [])
    assert command.unfinished(CORPUS, [0, 1], known) == [1]
    monkeypatch.setattr(commands, "SEQUENCE", f"{commands.SEQUENCE} solver.max_iterations=9")
    assert command.unfinished(CORPUS, [0, 1], known) == [0, 1]


class Recorder(runs.Runner):
    """Writes what the commands would have made."""

    def __init__(self, root, minutes=None):
        super().__init__(root, minutes)
        self.ran = []

    def _run(self, given, folder):
        self.left()
        self.ran.append(given)
        name = given[-1].removeprefix("name=").removeprefix("paper-table/prompts5-")
        what, _, seed = name.rpartition("-seed")
        if given[0] == "train" and what in BY_KEY:
            losses = [0.5, 0.4, 0.3]
            write_run(what, int(seed), losses)
            models = commands.folder_of(CORPUS, what, int(seed)) / "models"
            models.mkdir()
            for k in range(len(losses)):
                (models / f"iteration-{k:04d}.safetensors").touch()


def test_a_table_made_twice_trains_once_and_starts_before_rows(root, monkeypatch):
    page, runner = root / "page.md", Recorder(root)
    command.make(["prompts5"], [0], runner, page)
    verbs = [given[0] for given in runner.ran]
    assert verbs.count("train") == 2 + len(ROWS) and verbs.count("lattices") == 1
    lattices = verbs.index("lattices")
    assert lattices < min(n for n, g in enumerate(runner.ran) if any("init_from=" in w for w in g))
    assert read_json(command.RESULTS)["rows"]["both"]["runs"] == 1
    # The results alone tell what is done.
    again = Recorder(root)
    command.make(["prompts5"], [0], again, page)
    assert again.ran == []
    command.RESULTS.unlink()
    command.make(["prompts5"], [0], again, page)
    assert again.ran == [] and read_json(command.RESULTS)["rows"]["both"]["runs"] == 1


def test_without_time_nothing_is_begun_and_the_results_stay(root):
    command.make(["prompts5"], [0], Recorder(root), root / "page.md")
    runner = Recorder(root, minutes=0)
    command.make(["prompts5"], [0, 1], runner, root / "page.md")
    assert runner.ran == [] and len(read_json(command.RESULTS)["runs"]) == len(ROWS)


@pytest.mark.parametrize("corpus", CORPORA.values(), ids=CORPORA.keys())
def test_every_command_composes_and_rows_differ_in_their_parts_alone(corpus):
    made = [*commands.label_commands(corpus), *commands.start_commands(corpus, 1)]
    made += [commands.lattice_command(corpus, 0)]
    made += [commands.row_command(corpus, row, 1, 0) for row in ROWS]
    for _, *words in made:
        check_targets(load_config(words))
    trees = [load_config(given[1:]) for given in made[-len(ROWS) :]]
    shared = ("criterion", "damping", "acceptance", "cg_stopping", "model", "alignment", "lattices")
    for group in (*shared, "init_from", "frame_stride"):
        assert all(tree[group] == trees[0][group] for tree in trees), group
    assert {t.alignment.tag for t in trees} == {commands.TAG}
    assert trees[0].alignment.tree is None
    # Plain and growing samples end with the same shares; CG may run as long in all rows.
    assert {t.solver.max_iterations for t in trees} == {250}
    assert trees[0].sampling.curvature == trees[2].sampling.curvature_most
    lattices = load_config(commands.lattice_command(corpus, 0)[1:]).lattices
    assert all(t.lattices == lattices for t in trees)


@pytest.fixture
def bench(tmp_path):
    plan = QUICK_PLANS[0]
    objective = make_objective(plan.net, torch.device("cpu"), plan.work, Precision.FP32, tmp_path)
    theta = objective.model.flat.detach().clone()
    return Bench(objective, (theta, theta + 0.01), 0.25)


def test_under_heavy_damping_the_loss_falls_by_twice_what_q_does(bench):
    # d = -g / λ, where q = -g'g / 2λ and the loss falls by g'g / λ.
    rho, _ = bench.trials(256, 1e4)
    assert rho == pytest.approx(2.0, rel=0.02)


def test_all_pairs_of_a_run_find_its_end_in_one_step_and_the_page_tells_it(bench, tmp_path):
    rho, trials = bench.trials(256, 0.05)
    alone, own = trials[0], trials[-1]
    assert alone["label"] == "none"
    assert own["steps_to"]["0.95"] == 1 < alone["steps_to"]["0.95"]
    place = {"run": "plain-seed0", "iteration": 0, "lambda": 0.05, "frames": 256, "rho": rho}
    results = {"runs": [], "machine": {"cpu": "a CPU", "torch": "2"}}
    write_page(results, [place | {"trials": trials}], tmp_path / "page.md")
    (line,) = (x for x in (tmp_path / "page.md").read_text().splitlines() if "plain-seed0, 1" in x)
    assert line.endswith(f"| {own['steps']} (1) |")
