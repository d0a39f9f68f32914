"""Training through the command line: runs that are cut off, refused or swept."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file

from asr_hf.training.model_file import FILE_NAME

STEPS = "trainer.stopping.max_iterations={}"
LONG = [STEPS.format(80), "trainer.stopping.patience=1000"]


def figures(folder: Path) -> dict:
    """result.json without what a clock says."""
    result = json.loads((folder / "result.json").read_text())
    return {key: value for key, value in result.items() if key not in ("seconds", "name")}


def wait_for(path: Path, lines: int) -> None:
    end = time.monotonic() + 60
    while not path.exists() or path.read_bytes().count(b"\n") < lines:
        assert time.monotonic() < end, f"{path} does not grow"
        time.sleep(0.01)


def heed_ctrl_c() -> None:
    """Undo what a shell sets for its background jobs, and their children inherit."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def start(tmp_path, corpus):
    """Start a run in a process of its own and wait for some events."""

    def call(name: str, lines: int, length: list[str] = LONG) -> subprocess.Popen[str]:
        line = [sys.executable, "-m", "asr_hf", "train", *corpus, f"name={name}", *length]
        process = subprocess.Popen(
            line, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=heed_ctrl_c
        )
        wait_for(tmp_path / "exp" / name / "events.jsonl", lines)
        return process

    return call


def test_after_kill_9_the_same_command_ends_in_the_same_parameters(start, asr_hf, corpus, tmp_path):
    cut = start("cut", 15)
    cut.kill()
    assert cut.wait() == -signal.SIGKILL
    for name in ("cut", "whole"):
        assert asr_hf("train", *corpus, *LONG, f"name={name}").code == 0
    whole, resumed = (load_file(tmp_path / "exp" / n / FILE_NAME) for n in ("whole", "cut"))
    assert whole.keys() == resumed.keys() and all(torch.equal(whole[k], resumed[k]) for k in whole)
    assert figures(tmp_path / "exp" / "whole") == figures(tmp_path / "exp" / "cut")
    lines = (tmp_path / "exp" / "cut" / "events.jsonl").read_text().splitlines()
    iterations = [json.loads(line)["iteration"] for line in lines]
    assert iterations == list(range(len(iterations)))


def test_ctrl_c_ends_with_130_and_a_hint(start):
    # On a busy machine the signal may come late: the run must not have ended by itself.
    process = start("a", 3, [STEPS.format(100_000), "trainer.stopping.patience=0"])
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command continues" in err and "Traceback" not in err


def test_training_does_not_wait_for_torch_s_compiler(command, corpus):
    """It takes a second to load, and nothing of ours is compiled by it."""
    telling = os.environ | {"PYTHONPROFILEIMPORTTIME": "1"}
    done = command("train", *corpus, STEPS.format(1), env=telling)
    assert done.returncode == 0
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "torch" in loaded and "torch._dynamo" not in loaded


def test_a_finished_run_goes_on_when_its_end_is_moved(asr_hf, corpus, tmp_path):
    assert asr_hf("train", *corpus, STEPS.format(2)).code == 0
    assert asr_hf("train", *corpus, STEPS.format(4)).code == 0
    assert asr_hf("train", *corpus, STEPS.format(4), "name=whole").code == 0
    assert figures(tmp_path / "exp" / "prompts") == figures(tmp_path / "exp" / "whole")


def test_another_configuration_in_the_folder_is_refused(asr_hf, corpus):
    assert asr_hf("train", *corpus, STEPS.format(1)).code == 0
    outcome = asr_hf("train", *corpus, STEPS.format(1), "solver=cg", "runtime.seed=3")
    assert outcome.code == 2
    assert "runtime.seed: 0 -> 3" in outcome.err and "name=..." in outcome.err


def test_a_sweep_runs_every_combination_and_prints_one_table(asr_hf, corpus, tmp_path):
    swept = ["preconditioner=identity,lbfgs", "solver.max_iterations=2,5"]
    outcome = asr_hf("train", "-m", *corpus, *swept, STEPS.format(1))
    assert outcome.code == 0, outcome.err
    names = [
        f"preconditioner={p},solver.max_iterations={i}"
        for p in ("identity", "lbfgs")
        for i in (2, 5)
    ]
    folder = tmp_path / "exp" / "prompts"
    assert all((folder / name / "result.json").exists() for name in names)
    table = (folder / "sweep.md").read_text()
    assert table in outcome.out
    for name in names:
        row = next(line for line in table.splitlines() if f" {name} " in line)
        assert f"{figures(folder / name)['heldout_loss']:.4f}" in row
    assert sorted(os.listdir(tmp_path)) == ["data", "exp"]


@pytest.mark.parametrize(
    "launcher",
    [
        ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"],
        # SLURM's launcher but for the queue.
        ["hydra/launcher=submitit_local", "hydra.launcher.timeout_min=2"],
    ],
)
def test_launchers_run_a_sweep_in_processes_of_their_own(launcher, asr_hf, corpus, tmp_path):
    swept = "preconditioner=identity,lbfgs"
    outcome = asr_hf("train", "-m", *corpus, swept, STEPS.format(1), *launcher)
    assert outcome.code == 0, outcome.err
    assert asr_hf("train", *corpus, STEPS.format(1), "name=alone").code == 0
    table = (tmp_path / "exp" / "prompts" / "sweep.md").read_text()
    assert table in outcome.out
    rows = [line for line in table.splitlines() if line.startswith("| preconditioner=")]
    assert [name in row for name, row in zip(("identity", "lbfgs"), rows, strict=True)] == [
        True
    ] * 2
    assert f"{figures(tmp_path / 'exp' / 'alone')['heldout_loss']:.4f}" in rows[1]
    assert not list((tmp_path / "exp").glob(".sweep-*"))


def test_a_typo_in_a_swept_value_stops_the_sweep_before_its_first_run(asr_hf, corpus, tmp_path):
    outcome = asr_hf("train", "-m", *corpus, "preconditioner=identity,lbgfs")
    assert outcome.code == 2 and "preconditioner=lbfgs?" in outcome.err
    assert not (tmp_path / "exp").exists()


def test_a_sweep_with_a_failing_run_says_so_and_tables_the_others(asr_hf, corpus, tmp_path):
    outcome = asr_hf("train", "-m", *corpus, "sampling.gradient=1.0,3.5", STEPS.format(1))
    assert outcome.code == 2 and "sampling.gradient" in outcome.err
    table = (tmp_path / "exp" / "prompts" / "sweep.md").read_text()
    assert "sampling.gradient=1.0" in table and "sampling.gradient=3.5" not in table


def test_a_sweep_of_nothing_is_refused(asr_hf, corpus):
    outcome = asr_hf("train", "--multirun", *corpus)
    assert outcome.code == 2 and "nothing is swept" in outcome.err


def test_every_run_of_a_sweep_is_one_folder_that_is_named_in_full(asr_hf, corpus, tmp_path):
    swept = "corpus.source=null,en/list,données 100%,'a,b'"
    outcome = asr_hf("train", "-m", *corpus, swept, STEPS.format(1), "name=1_1")
    assert outcome.code == 0, outcome.err
    folder = tmp_path / "exp" / "1_1"
    values = {
        "null": "null",
        "en/list": "en%2Flist",
        "données 100%": "données 100%25",
        "a,b": "a,b",
    }
    runs = {f"corpus.source={name}" for name in values.values()}
    assert {path.name for path in folder.iterdir()} == {*runs, "sweep.md"}
    table = (folder / "sweep.md").read_text()
    assert all(f"| corpus.source={value} " in table for value in values)


@pytest.mark.parametrize(
    "swept",
    ["model.hidden_sizes=[8],[{}]".format(",".join(["16"] * 90)), "corpus.source=x," + "é" * 130],
)
def test_a_sweep_with_a_name_too_long_for_a_folder_is_refused(asr_hf, corpus, tmp_path, swept):
    outcome = asr_hf("train", "-m", *corpus, swept, STEPS.format(1))
    assert outcome.code == 2 and "255 bytes" in outcome.err and "--config-dir" in outcome.err
    assert not (tmp_path / "exp").exists()


def test_a_sweep_over_samplings_takes_what_a_preset_sets_under_each(asr_hf, corpus, tmp_path):
    sampling = [o for o in corpus if not o.startswith("sampling")]
    more = ["+preset=kfac_cg", "sampling=fixed,geometric", STEPS.format(1), "frame_stride=1"]
    assert asr_hf("train", "-m", *sampling, *more).code == 0
    for option, gradient in (("fixed", 1.0), ("geometric", 4096)):
        config = OmegaConf.load(tmp_path / "exp" / "prompts" / f"sampling={option}" / "config.yaml")
        assert config.sampling.gradient == gradient


@pytest.mark.parametrize("heldout", ["train", "dev"])
def test_a_run_with_nothing_held_out_is_refused_unless_that_is_meant(
    asr_hf, corpus, tmp_path, heldout
):
    stores = tmp_path / "data" / "prompts" / "store"
    shutil.rmtree(stores / "dev")
    shutil.copytree(stores / "train", stores / "dev")
    outcome = asr_hf("train", *corpus, f"corpus.heldout_set={heldout}", STEPS.format(1))
    assert outcome.code == 2 and "20 of 20 utterances" in outcome.err
    assert "+debug=overfit" in outcome.err and not (tmp_path / "exp").exists()
    meant = [*corpus, "+debug=overfit", STEPS.format(1), "name=meant"]
    assert asr_hf("train", *meant).code == 0


def test_some_of_the_held_out_data_in_training_are_a_warning_with_counts(asr_hf, corpus, tmp_path):
    for name, ids, stem in (("train", range(20), "other"), ("dev", range(3), "u")):
        folder = tmp_path / "data" / "prompts" / name
        folder.mkdir()
        lines = [(f"{stem}{n}", f"/audio/{n}.wav") for n in ids]
        (folder / "wav.scp").write_text("".join(f"{u} {path}\n" for u, path in lines))
        (folder / "utt2spk").write_text("".join(f"{u} {u}\n" for u, _ in lines))
    outcome = asr_hf("train", *corpus, STEPS.format(1))
    assert outcome.code == 0
    (told,) = [line for line in outcome.err.splitlines() if "in the training set" in line]
    assert "of 20 utterances of the held-out set 'dev'" in told and "3 by recording" in told


@pytest.mark.parametrize(
    ("trainer", "limit", "few"),
    [
        ("hf", "trainer.stopping.max_iterations", 2),
        ("adamw trainer.learning_rate=0.05", "trainer.horizon.epochs", 2),
        ("lbfgs", "trainer.max_iterations", 3),
    ],
)
def test_a_run_that_was_cut_off_while_it_learned_says_so(
    asr_hf, corpus, tmp_path, trainer, limit, few
):
    outcome = asr_hf("train", *corpus, *f"trainer={trainer}".split(), f"{limit}={few}")
    assert outcome.code == 0, outcome.err
    assert f"stopped by {limit} while the held-out loss was still falling" in outcome.out
    assert figures(tmp_path / "exp" / "prompts")["ended_by"] == limit
    assert "still falling" in (tmp_path / "exp" / "prompts" / "report.html").read_text()


def test_a_run_that_converged_does_not(asr_hf, corpus, tmp_path):
    ended = ["trainer.stopping.patience=2", "trainer.stopping.min_improvement=0.5"]
    outcome = asr_hf("train", *corpus, *ended)
    assert outcome.code == 0 and "still falling" not in outcome.out
    assert figures(tmp_path / "exp" / "prompts")["ended_by"] == "convergence"
