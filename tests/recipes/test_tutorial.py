"""The commands of docs/your-data.md, word for word, on the recordings that its script makes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile
import torch

from asr_hf.data.resampling import resample

VERBS = ["prepare", "features", "align", "train", "decode", "score"]
# What is appended to the page's commands, so that they take seconds.
_ALIGNMENT = [
    *("alignment.iterations=10", "alignment.gaussians=300", "alignment.jobs=1"),
    *("alignment.max_utterances=150", "alignment.max_skipped=0.1"),
]
_TREE = [
    *("alignment.tree.states=150", "alignment.tree.gaussians=400"),
    *("alignment.tree.passes=8", "alignment.tree.max_utterances=150"),
]
_NET = ["model.hidden_sizes=[64,64]", "trainer.stopping.max_iterations=12", "runtime.threads=1"]
SHORTER = {
    # Small sets to decode.
    "prepare": ["corpus.held_out=0.04"],
    "features": ["features.jobs=1"],
    "align": _ALIGNMENT,
    "train": [*_ALIGNMENT, *_NET],
    "decode": [
        *("decode.beam=10.0", "decode.lattice_beam=7.0"),
        *("decode.acoustic_scales=[0.1,0.2]", "decode.insertion_penalties=[0.0]"),
    ],
}


def shorter(line: str) -> list[str]:
    verb = line.split()[1]
    more = list(SHORTER.get(verb, []))
    if "alignment=triphone" in line:
        more += _TREE
    if verb == "train" and "+preset=" not in line:
        # Fewer iterations come further with it.
        more.append("+preset=kfac_cg")
    return more


def check_words(run_dir: Path) -> None:
    """Most words are known and were recognised by a network of seconds."""
    wer = json.loads((run_dir / "result.json").read_text())["wer"]
    assert wer["words"] > 80 and wer["percent"] < 85.0
    assert (run_dir / "report.html").is_file()


@pytest.fixture(scope="module")
def table(tutorial, empty_folder) -> Path:
    """A folder with the table and the recordings of the page, prepared."""
    folder = empty_folder("table")
    [line] = tutorial.commands("1. A table").values()
    tutorial.run(folder, line)
    prepare = tutorial.commands("2. From the table to a test set")["prepare"]
    tutorial.run(folder, prepare, shorter(prepare))
    return folder


def test_a_table_goes_to_word_errors(tutorial, table):
    commands = tutorial.commands("2. From the table to a test set")
    assert list(commands) == VERBS
    for line in list(commands.values())[1:]:
        tutorial.run(table, line, shorter(line))
    check_words(table / "exp" / "first")


@pytest.fixture(scope="module")
def own(table, empty_folder) -> Path:
    """Data directories of 16 kHz, a lexicon and a text, as a user of such has them."""
    folder = empty_folder("own")
    given, target = table / "data" / "table", folder / "data" / "mine"
    (target / "lang" / "en").mkdir(parents=True)
    (folder / "wavs").mkdir()
    for name in ("train", "dev", "test"):
        shutil.copytree(given / name, target / name)
        wavs = dict(x.split(" ", 1) for x in (given / name / "wav.scp").read_text().splitlines())
        finer = {key: at_16_khz(Path(wav), folder / "wavs") for key, wav in wavs.items()}
        write_table(target / name / "wav.scp", finer)
        spoken = (given / name / "utt2lang").read_text().split()[::2]
        write_table(target / name / "utt2lang", dict.fromkeys(spoken, "en"))
    shutil.copy(given / "lang/xx/lm_text", target / "lang/en")
    # A dictionary that says nothing of unknown words.
    entries = (given / "lang/xx/lexicon.txt").read_text().replace(" xx_", " ").splitlines()
    known = dict(x.split(" ", 1) for x in entries if not x.startswith("<unk>"))
    write_table(target / "lang/en/lexicon.txt", known)
    return folder


def at_16_khz(wav: Path, folder: Path) -> Path:
    samples, rate = soundfile.read(wav, dtype="float32")
    made = resample(torch.from_numpy(samples), rate, 16000)
    soundfile.write(folder / wav.name, made.numpy(), 16000)
    return folder / wav.name


def write_table(path: Path, rows: dict[str, object]) -> None:
    path.write_text("".join(f"{key} {value}\n" for key, value in rows.items()))


def test_directories_of_one_s_own_go_to_word_errors(tutorial, own):
    title = "With data directories of your own"
    for block in tutorial.blocks(title):
        # Files are written under the names that the text before them gives them.
        if block.language == "yaml":
            [name] = re.findall(r"`(conf_mine/\S+\.yaml)`", block.before)
            (own / name).parent.mkdir(parents=True, exist_ok=True)
            (own / name).write_text(block.text)
        elif block.language == "python":
            subprocess.run([sys.executable, "-c", block.text], cwd=own, check=True)
    commands = tutorial.commands(title)
    assert list(commands) == ["validate", *VERBS[1:]]
    for line in commands.values():
        tutorial.run(own, line, shorter(line))
    check_words(own / "exp" / "mine")
    # The recipe at the end of the page stands for what the commands before it say.
    long = "corpus=mine name=mine features.sample_rate=16000"
    said = tutorial.run(own, commands["features"].replace(long, "+recipe=mine"))
    assert said.count("there already") == 3
