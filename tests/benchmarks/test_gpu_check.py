"""The check on a GPU: its steps, its budget and its data, on a CPU."""

from __future__ import annotations

import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from asr_hf.cli.check import check_targets
from asr_hf.cli.compose import load_config
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json, write_json
from benchmarks.gpu import measure
from benchmarks.gpu.__main__ import main
from benchmarks.gpu.pack import pack, unpack
from benchmarks.gpu.page import page
from benchmarks.gpu.plan import QUICK_STEPS, Check, Data, counts, steps
from benchmarks.gpu.steps import Step, run_steps

from ..toy_store import write_clusters

CPU = torch.device("cpu")


def step(name: str, code: str, seconds: float = 20.0, needs: tuple[str, ...] = ()) -> Step:
    """A step that runs Python code, which finds its folder in sys.argv, and leaves figures."""
    command = (sys.executable, "-S", "-c", f"import sys, time; {code}", "{folder}/figures.json")
    return Step(name, name, seconds, command, lambda f: read_json(f / "figures.json"), needs)


LEAVE = "open(sys.argv[1], 'w').write('{\"a\": 1}')"


def test_what_fails_and_what_hangs_is_recorded_and_the_rest_is_done(tmp_path: Path) -> None:
    saved: list[list[str]] = []
    listed = [
        step("fails", f"{LEAVE}; print('no such thing'); sys.exit(3)"),
        step("lacks", LEAVE, needs=("sys", "no_such_module")),
        step("hangs", f"{LEAVE}; time.sleep(60)", seconds=1.0),
        step("silent", "pass"),
        step("works", LEAVE),
    ]
    entries = run_steps(
        listed, 60, tmp_path, lambda all_: saved.append([e["status"] for e in all_])
    )
    by_name = {entry.name: entry for entry in entries}
    statuses = ["failed", "failed", "cut", "failed", "done"]
    assert [entry.status for entry in entries] == statuses
    assert "exit code 3: no such thing" in by_name["fails"].error
    assert by_name["lacks"].error == "not installed: no_such_module"
    assert by_name["hangs"].figures == by_name["fails"].figures == {"a": 1}
    assert "figures.json" in by_name["silent"].error
    # Written after each step, so that a check that is cut leaves figures.
    assert saved[0] == ["failed", *["not begun"] * 4]
    assert saved[-1] == statuses and len(saved) == 5


def test_the_budget_is_kept(tmp_path: Path) -> None:
    # One that does not heed the request to end, and leaves a process of its own.
    deaf = "import signal, subprocess; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
    deaf += "subprocess.Popen(['sleep', '60']); time.sleep(60)"
    start = time.monotonic()
    entries = run_steps(
        [step("deaf", deaf, 60), step("late", LEAVE)], 6, tmp_path, lambda _: None, least=1.0
    )
    assert time.monotonic() - start < 6 + 3
    assert [entry.status for entry in entries] == ["cut", "not begun"]


def test_without_a_gpu_it_says_so(tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["--out", str(tmp_path)]) == 2
    assert "torch finds no GPU here" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_trial_on_a_cpu_measures_and_trains(tmp_path: Path) -> None:
    chosen = ["graphs-A", "adamw"]
    given = ["--quick", "--device", "cpu", "--commit", "abc", "--out", str(tmp_path)]
    assert main([*given, "--steps", *chosen]) == 0
    results = read_json(tmp_path / "gpu.json")
    assert results["commit"] == "abc" and not results["machine"]["gpu"]
    figures = {entry["name"]: entry["figures"] for entry in results["steps"]}
    assert list(figures) == chosen
    assert {entry["status"] for entry in results["steps"]} == {"done"}
    for by_frames in figures["graphs-A"].values():
        assert by_frames["32"]["difference"] == 0
    curve = [look["heldout_loss"] for look in figures["adamw"]["curve"]]
    assert figures["adamw"]["best_heldout_loss"] == min(curve) < curve[0]
    told = (tmp_path / "gpu.md").read_text()
    assert "commit abc" in told and "| `adamw` |" in told


@pytest.mark.parametrize("kind", ["products", "iteration"])
def test_what_else_is_measured(kind: str, tmp_path: Path) -> None:
    measure.main([kind, "A", "quick", "cpu", str(tmp_path / "figures.json")])
    figures = read_json(tmp_path / "figures.json")
    assert list(figures) == ["tf32", "bf16"]
    entry = {"name": f"{kind}-A", "what": "", "status": "done", "seconds": 1.0, "error": ""}
    about = {"machine": {"gpu": "X", "cpu": "Y", "cores": 1, "torch": "2"}, "driver": "580"}
    about |= {"cuda": "13", "commit": "abc", "seconds": 1.0, "quick": True, "target": 1.0}
    told = page(about | {"data": "prompts", "steps": [entry | {"figures": figures}]})
    assert "| A, bf16" in told and "driver 580" in told


def test_a_page_of_nothing_is_not_written(tmp_path: Path) -> None:
    assert main(["--page-only", "--out", str(tmp_path)]) == 0
    assert not list(tmp_path.iterdir())


def test_trainings_have_commands_that_compose() -> None:
    check = Check("cuda", False, Data(Path("data")), 1.0)
    by_name = {step.name: step for step in steps(check)}
    for training in (by_name[name] for name in ("kfac-graphs", "stochastic-bf16", "adamw-large")):
        words = [word.replace("{folder}", "exp") for word in training.command[4:]]
        config = load_config(words)
        check_targets(config)
        assert config.runtime.device == "cuda"
        assert config.runtime.cuda_graphs == ("graphs" in training.name)
    assert set(by_name) > set(QUICK_STEPS)
    with pytest.raises(InputError, match="--steps nothing"):
        steps(Check("cuda", False, Data(Path("data")), 1.0, ("nothing",)))


def test_tests_are_counted(tmp_path: Path) -> None:
    cases = '<testcase name="a"/><testcase name="b"><failure/></testcase>'
    cases += '<testcase name="c"><skipped/></testcase><testcase name="d"><error/></testcase>'
    (tmp_path / "t.xml").write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    expected = {"passed": 1, "failed": 2, "skipped": 1, "names": ["b", "d"]}
    assert counts(tmp_path / "t.xml") == expected


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for name in ("train", "dev"):
        write_clusters(tmp_path / "toy/store" / name, random, random.integers(5, 30, 9), 6, 4)
    (tmp_path / "toy/fbank").mkdir()
    (tmp_path / "toy/fbank/feats.ark").write_bytes(bytes(1000))
    return tmp_path / "toy"


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_packed_corpus_is_what_it_was(corpus: Path, tmp_path: Path) -> None:
    size = pack(corpus, tmp_path / "x.tar.gz")
    assert size == (tmp_path / "x.tar.gz").stat().st_size
    assert unpack(tmp_path / "x.tar.gz", tmp_path / "data") == tmp_path / "data/toy"
    assert contents(tmp_path / "data/toy/store") == contents(corpus / "store")
    assert not (tmp_path / "data/toy/fbank").exists()


def test_damage_is_found_before_and_after_packing(corpus: Path, tmp_path: Path) -> None:
    packed = tmp_path / "x.tar.gz"
    with pytest.raises(InputError, match="take 0 MiB"):
        pack(corpus, packed, max_bytes=100)
    pack(corpus, packed)
    cut = packed.read_bytes()[: packed.stat().st_size // 2]
    packed.write_bytes(cut)
    with pytest.raises(InputError, match="cannot be unpacked"):
        unpack(packed, tmp_path / "data")
    with tarfile.open(packed, "w:gz"):
        pass
    with pytest.raises(InputError, match="0 corpora"):
        unpack(packed, tmp_path / "data")
    assert not (tmp_path / "data").exists()
    about = read_json(corpus / "store/dev/store.json")
    write_json(corpus / "store/dev/store.json", about | {"frames": 1, "utterances": 1})
    with pytest.raises(InputError):
        pack(corpus, packed)
