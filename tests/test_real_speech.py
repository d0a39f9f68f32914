"""The whole path on real recordings, through the command line, killed once on the way."""

from __future__ import annotations

import contextlib
import io
import json
import os
import runpy
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asr_hf.cli.main import main
from asr_hf.scoring.hub5 import hubscr_command

ROOT = Path(__file__).resolve().parents[1]
SMALL = [
    "+recipe=prompts",
    "+preset=kfac_cg",
    "alignment.iterations=12",
    "alignment.gaussians=400",
    "alignment.max_utterances=200",
    "alignment.jobs=1",
    "model.hidden_sizes=[96]",
    "trainer.stopping.max_iterations=14",
    "trainer.stopping.patience=0",
    "sampling.gradient=0.3",
    "sampling.curvature=0.03",
    "runtime.checkpoint_seconds=0",
    "runtime.threads=1",
    "features.jobs=1",
    "decode.acoustic_scales=[0.1,0.2]",
    "decode.insertion_penalties=[0.0]",
    "decode.beam=12.0",
    "decode.lattice_beam=7.0",
]


def words(verb: str, folder: Path, *overrides: str) -> list[str]:
    paths = [f"paths.data={folder}/data", f"paths.exp={folder}/exp", f"paths.cache={ROOT}/.cache"]
    return [verb, *SMALL, *paths, *overrides]


# As after a restart by torchrun, the ranks meet anew for each verb.
SEVERAL = """
import json, os, sys
from asr_hf.cli.main import main

for number, words in enumerate(json.loads(sys.argv[1])):
    os.environ["TORCHELASTIC_RESTART_COUNT"] = str(number)
    assert main(words) == 0
"""


def by_three(script: Path, *commands: list[str]) -> None:
    """Run verbs in three processes that torchrun starts, which load torch once."""
    script.write_text(SEVERAL)
    torchrun = ["torch.distributed.run", "--standalone", "--nproc-per-node=3", str(script)]
    line = [sys.executable, "-m", *torchrun, json.dumps(commands)]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def contents(folder: Path, *names: str) -> dict[str, bytes]:
    found = {p.relative_to(folder): p for name in names for p in sorted(folder.glob(name))}
    assert found
    return {str(name): path.read_bytes() for name, path in found.items()}


def run(verb: str, folder: Path, *overrides: str) -> None:
    """Run a verb in this process, which need not load torch again."""
    assert main(words(verb, folder, *overrides)) == 0


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    with contextlib.redirect_stderr(io.StringIO()) as said:
        code = main(words("prepare", folder))
    if code and "cannot be had" in said.getvalue() and not os.environ.get("CI"):
        pytest.skip(f"no real speech on this machine: {said.getvalue()}")
    assert code == 0, said.getvalue()
    run("features", folder)
    run("align", folder)
    return folder


@pytest.fixture(scope="module")
def trained(corpus) -> Path:
    run("train", corpus, "name=whole")
    return corpus / "exp" / "whole"


def events(folder: Path) -> list[dict]:
    path = folder / "events.jsonl"
    return [json.loads(x) for x in path.read_text().splitlines()] if path.exists() else []


def test_training_on_real_speech_learns(trained):
    losses = [e["heldout_loss"] for e in events(trained) if "heldout_loss" in e]
    assert losses[0] > 4.0
    assert min(losses) < 2.0


def test_a_killed_run_ends_in_the_same_model(corpus, trained):
    folder = corpus / "exp" / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "asr_hf", *words("train", corpus, "name=killed")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while len(events(folder)) < 5:
        assert process.poll() is None, "the run ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "result.json").exists()
    run("train", corpus, "name=killed")
    name = "model.safetensors"
    assert (folder / name).read_bytes() == (trained / name).read_bytes()
    whole, killed = (json.loads((f / "result.json").read_text()) for f in (trained, folder))
    for result in (whole, killed):
        for key in ("name", "seconds"):
            del result[key]
    assert whole == killed


@pytest.fixture(scope="module")
def decoded(corpus, trained) -> Path:
    run("decode", corpus, "name=whole")
    run("score", corpus, "name=whole")
    return trained


def test_decoding_recognises_words(decoded):
    trained = decoded
    wer = json.loads((trained / "result.json").read_text())["wer"]
    assert wer["words"] > 300
    assert wer["percent"] < 60.0
    assert "<svg" in (trained / "report.html").read_text()


def test_processes_of_torchrun_make_the_same_files(corpus, decoded, tmp_path):
    one, other = corpus / "data" / "prompts", tmp_path / "data" / "prompts"
    shutil.copytree(one, other, ignore=shutil.ignore_patterns("fbank", "align", "store"))
    few = ["+stage=smbr", f"init_from={decoded}", "lattices.beam=10.0", "lattices.utterances=12"]
    by_three(
        tmp_path / "several.py",
        words("features", tmp_path),
        words("align", tmp_path),
        words("lattices", corpus, *few, "lattices.tag=three"),
    )
    made = ("fbank/*/*.ark", "align/transitions.txt", "align/*/*.ctm", "store/*/*.bin")
    assert contents(other, *made) == contents(one, *made)
    run("lattices", corpus, *few, "lattices.tag=one")
    folders = [one / f"lattices-{tag}" for tag in ("one", "three")]
    assert contents(folders[0], "*/*.bin") == contents(folders[1], "*/*.bin")


def test_realignment_with_the_network_trains_on(corpus, trained):
    tagged = (f"alignment.from_run={trained}", "alignment.tag=again")
    run("align", corpus, *tagged, "alignment.jobs=2")
    run("train", corpus, *tagged, "name=again", "trainer.stopping.max_iterations=3")
    first, again = (json.loads((corpus / f"data/prompts/{s}/train/store.json").read_text())
                    for s in ("store", "store-again"))  # fmt: skip
    assert first["num_pdfs"] == again["num_pdfs"]
    assert len(events(corpus / "exp" / "again")) == 4


def test_sequence_training_lowers_the_expected_errors(corpus, decoded):
    stage = ["+stage=smbr", f"init_from={decoded}", "name=smbr", "trainer.heldout_frames=null"]
    narrow = ["lattices.beam=12.0", "lattices.lattice_beam=7.0", "lattices.utterances=30"]
    run("lattices", corpus, *stage, *narrow)
    run("train", corpus, *stage, *narrow, "trainer.stopping.max_iterations=2")
    folder = corpus / "exp" / "smbr"
    losses = [e["heldout_loss"] for e in events(folder) if "heldout_loss" in e]
    assert min(losses) < losses[0] < 1.0
    assert len(list((folder / "models").iterdir())) == len(events(folder))
    run("decode", corpus, *stage, *narrow)
    chosen = json.loads((folder / "decode" / "choice" / "chosen.json").read_text())
    errors = [row["errors"] for row in chosen["models"]]
    # The start is among the models, and decodes as it did in its own run.
    tried = json.loads((decoded / "decode" / "best.json").read_text())["tried"]
    assert errors[0] == min(one["errors"] for one in tried)
    assert min(errors) <= errors[0]
    assert (folder / "model.safetensors").read_bytes() == (
        folder / "models" / chosen["chosen"]
    ).read_bytes()


def test_the_replica_of_switchboard_goes_from_sphere_files_to_nist_s_score(corpus, tmp_path):
    replica = tmp_path / "ldc"
    make_replica = runpy.run_path(str(ROOT / "scripts" / "make_switchboard_replica.py"))["main"]
    few = ["--prompts", f"{corpus}/data/prompts", "--most", "100"]
    assert make_replica([str(replica), *few]) == 0
    own = [
        "+recipe=switchboard",
        f"corpus.swbd={replica}/LDC97S62",
        f"corpus.msu={replica}/swb_ms98_transcriptions",
        f"corpus.eval2000={replica}/LDC2002S09",
        f"corpus.hub5_refs={replica}/LDC2002T43",
        "alignment.tree.states=250",
        "alignment.tree.gaussians=1500",
        # The best of several is looked for elsewhere.
        "decode.acoustic_scales=[0.2]",
    ]
    replaced = ("+recipe", "decode.acoustic_scales")
    common = [override for override in SMALL if not override.startswith(replaced)]

    def asr_hf(verb: str, *overrides: str) -> str:
        paths = [f"paths.data={tmp_path}/data", f"paths.exp={tmp_path}/exp"]
        with contextlib.redirect_stdout(io.StringIO()) as out:
            assert main([verb, *own, *common, *paths, *overrides]) == 0
        return out.getvalue()

    for verb in ("prepare", "features", "align"):
        asr_hf(verb)
    for verb in ("train", "decode", "score"):
        asr_hf(verb, "name=ce")
    smbr = ["+stage=smbr", f"init_from={tmp_path}/exp/ce", "name=smbr", "decode.choose=2"]
    smbr += ["lattices.beam=12.0", "lattices.lattice_beam=7.0", "lattices.utterances=40"]
    smbr.append("trainer.stopping.max_iterations=2")
    for verb in ("lattices", "train", "decode"):
        asr_hf(verb, *smbr)
    table = asr_hf("score", *smbr)
    score = json.loads((tmp_path / "exp/smbr/score.json").read_text())["wer"]["sets"]["eval2000"]
    if hubscr_command() is not None:
        halves = [score["hub5"][f"eval2000 {half}"] for half in ("sw_", "en_")]
        whole = score["hub5"]["eval2000"]
        assert sum(half["words"] for half in halves) == whole["words"] > 0
        assert sum(half["errors"] for half in halves) == whole["errors"]
        assert "(hubscr)" in table and "(ours)" in table
