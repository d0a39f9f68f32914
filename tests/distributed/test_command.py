"""`asr-hf train` in several processes: signals, deaths, resuming with another number."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from asr_hf.cli.compose import load_config
from asr_hf.cli.main import main
from asr_hf.cli.typed import settings_of
from asr_hf.runtime.errors import InputError
from asr_hf.stages.train import share
from asr_hf.training.model_file import FILE_NAME

SETTINGS = [
    "+recipe=prompts",
    "model.hidden_sizes=[8]",
    "sampling=fixed",
    "sampling.curvature=0.5",
    "solver.max_iterations=6",
    "runtime.checkpoint_seconds=1000",
    "runtime.device=cpu",
    "trainer.stopping.patience=0",
    # Losses are compared iteration by iteration.
    "runtime.look_share=null",
]
STEPS = "trainer.stopping.max_iterations={}"
ENDLESS = STEPS.format(100_000)


@pytest.fixture
def corpus(tmp_path, write_store, monkeypatch):
    for seed, name in enumerate(("train", "dev")):
        write_store(tmp_path / "data" / "prompts" / "store" / name, seed)
    monkeypatch.chdir(tmp_path)
    return SETTINGS


started: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def ended():
    """What a test that failed has left would train for ever."""
    yield
    while started:
        started.pop().kill()


def start(*arguments: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "asr_hf", "train", *arguments]
    run = subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    started.append(run)
    return run


def events(name: str) -> list[dict]:
    path = Path("exp") / name / "events.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def wait_for_events(name: str, count: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while len(events(name)) < count:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.05)


def ranks_of(launcher: subprocess.Popen[str]) -> list[int]:
    children = Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children")
    return [int(pid) for pid in children.read_text().split()]


def test_stopped_by_sigterm_it_goes_on_with_another_number_to_the_same_end(corpus, capsys):
    divided = ["runtime.processes=2", "runtime.sharded=true"]
    two = start(*corpus, ENDLESS, *divided, "name=cut")
    wait_for_events("cut", 3, two)
    # Meanwhile the folder is taken.
    assert main(["train", *corpus, ENDLESS, "name=cut"]) == 2
    assert "in use by process" in capsys.readouterr().err
    two.send_signal(signal.SIGTERM)
    _, err = two.communicate(timeout=60)
    assert two.returncode == 75, err
    assert err.count("asr-hf: error:") == 1 and "stopped by SIGTERM" in err
    assert "the same command continues" in err and "Traceback" not in err
    done = len(events("cut")) - 1
    assert [p.name[-11:] for p in Path("exp/cut/checkpoints").iterdir()] == [f"{done:06d}.ckpt"]
    for name, length in (("cut", done + 2), ("whole", 3)):
        assert main(["train", *corpus, STEPS.format(length), f"name={name}"]) == 0
    cut, whole = events("cut"), events("whole")
    assert [e["iteration"] for e in cut] == list(range(done + 3))
    assert cut[done + 1]["heldout_loss"] <= 1.01 * cut[done]["heldout_loss"]
    # Sums are in float32, in another order: later iterations may part.
    for one, other in zip(cut[:4], whole, strict=True):
        assert one["heldout_loss"] == pytest.approx(other["heldout_loss"], rel=1e-3)
        assert one["frames"] == other["frames"]


def test_a_killed_rank_ends_the_run_by_name(corpus):
    run = start(*corpus, ENDLESS, "runtime.processes=2", "name=killed")
    wait_for_events("killed", 2, run)
    first, second = ranks_of(run)
    os.kill(second, signal.SIGKILL)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 1
    assert err.count("asr-hf: error:") == 1, err
    assert f"rank 1 (process {second}) was killed by SIGKILL" in err
    assert not Path(f"/proc/{first}").exists()


def test_torchrun_starts_a_killed_run_again_which_gives_one_run_and_one_answer(corpus, tmp_path):
    """It goes on from its newest checkpoint."""
    line = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    line += ["--max-restarts=1", "--monitor-interval=0.2", "-m", "asr_hf", "train", *corpus]
    line += [STEPS.format(60), "runtime.checkpoint_seconds=0", "name=again"]
    run = subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    wait_for_events("again", 4, run)
    os.kill(ranks_of(run)[-1], signal.SIGKILL)
    out, err = run.communicate(timeout=200)
    assert run.returncode == 0, err
    assert out.count("frame error") == 1
    assert [e["iteration"] for e in events("again")] == list(range(61))
    assert "continuing after iteration" in err
    assert torch.isfinite(load_file(tmp_path / "exp" / "again" / FILE_NAME)["flat"]).all()


def test_an_error_that_every_rank_meets_is_told_once(corpus):
    ours = [s for s in corpus if not s.startswith("trainer.")]
    run = start(*ours, "runtime.processes=2", "trainer=sgd", "name=refused")
    _, err = run.communicate(timeout=120)
    assert run.returncode == 2
    assert err.count("asr-hf: error:") == 1, err
    assert "goes by minibatches" in err and "runtime.processes=1" in err


def test_no_processes_are_refused(corpus, capsys):
    assert main(["train", *corpus, "runtime.processes=0"]) == 2
    assert "runtime.processes=0" in capsys.readouterr().err


def test_vectors_are_divided_for_hf_alone():
    """Told once as well, since every rank meets it."""
    given = ["+recipe=prompts", "trainer=lbfgs", "runtime.processes=2", "runtime.sharded=true"]
    objective = SimpleNamespace(model=SimpleNamespace(state_tensors=dict))
    with pytest.raises(InputError, match="needs whole vectors") as refused:
        share(settings_of(load_config(given)), objective, SimpleNamespace(count=2))
    assert refused.value.remedy == "runtime.sharded=false"
