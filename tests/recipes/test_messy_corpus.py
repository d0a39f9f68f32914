"""A table as messy as life goes to word errors by the tutorial's commands, each killed once."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest

from ..pages import Page, Shell, as_clone

_LANGUAGES = ["corpus.languages=[en,es]"]
_ALIGNMENT = [
    *("alignment.iterations=15", "alignment.gaussians=500", "alignment.jobs=1"),
    *("alignment.tree.states=250", "alignment.tree.gaussians=600", "alignment.tree.passes=10"),
    # One transcript in ten is wrong, and may fit no path.
    "alignment.max_skipped=0.1",
]
_NET = ["model.hidden_sizes=[96,96]", "trainer.stopping.max_iterations=25", "runtime.threads=1"]
# What is appended to the page's commands: the languages, and what makes them short.
MORE = {
    "prepare": [*_LANGUAGES, "corpus.numbers={en: en, es: es}"],
    "features": [*_LANGUAGES, "features.jobs=1"],
    "align": [*_LANGUAGES, *_ALIGNMENT],
    "train": [*_LANGUAGES, *_ALIGNMENT, *_NET, "runtime.checkpoint_seconds=0"],
    "decode": [
        *("decode.beam=10.0", "decode.lattice_beam=7.0"),
        *("decode.acoustic_scales=[0.1,0.2]", "decode.insertion_penalties=[0.0]"),
    ],
    "score": [],
}
PAGE = Page("docs/tutorials/own-recordings.md").commands()
COMMANDS = {verb: PAGE[verb] for verb in MORE}
# What prepare says of each kind of row that cannot be used.
CAUSES = {
    "missing": "no such audio file",
    "empty": "empty audio file",
    "truncated WAV": "truncated: ",
    "truncated MP3": "truncated: ",
    "truncated Ogg": "truncated: ",
    "two channels": "2 channels: name one",
    "no words": "no words in its transcript",
    "number of several readings": "can be read in several ways",
    "duplicate": "the same name as in line ",
}


def events(folder: Path) -> str:
    path = folder / "exp/first/events.jsonl"
    return path.read_text() if path.is_file() else ""


# When each command is killed: in the middle of its work.
MIDDLE: dict[str, Callable[[Path], bool]] = {
    "prepare": lambda folder: any((folder / "data").glob(".table.*.tmp")),
    "features": lambda folder: (folder / "data/table/fbank/train").is_dir(),
    "align": lambda folder: (folder / "data/table/align-triphone").is_dir(),
    "train": lambda folder: events(folder).count("\n") > 5,
    "decode": lambda folder: (folder / "exp/first/decode/dev").is_dir(),
}


@pytest.fixture(scope="module")
def messy(tmp_path_factory) -> Path:
    folder = as_clone(tmp_path_factory.mktemp("messy"))
    Shell(folder).run("python scripts/make_messy_table.py mine", ["--each", "40"])
    return folder


def spoilt(folder: Path) -> dict[int, str]:
    rows = (folder / "mine/spoilt.tsv").read_text().splitlines()
    return {int(line): what for line, what in (row.split("\t") for row in rows)}


def kill_in_the_middle(process: subprocess.Popen[str], reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not reached():
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def stamps(folder: Path, *names: str) -> dict[str, tuple[int, int]]:
    """When each file below some folders was written, and its inode; locks are hidden files."""
    files = [p for name in names for p in (folder / name).rglob("[!.]*") if p.is_file()]
    return {str(p): (p.stat().st_mtime_ns, p.stat().st_ino) for p in files}


@pytest.fixture(scope="module")
def done(messy) -> dict[str, str]:
    """What each command said that was killed and given again."""
    said = {}
    for verb, line in COMMANDS.items():
        if verb in MIDDLE:
            process = Shell(messy).start(line, MORE[verb])
            kill_in_the_middle(process, lambda verb=verb: MIDDLE[verb](messy))
        said[verb] = Shell(messy).run(line, MORE[verb])
    return said


def test_every_row_that_cannot_be_used_is_counted_under_its_cause(messy, done):
    skipped = json.loads((messy / "data/table/corpus.json").read_text())["skipped"]
    reasons = {int(re.findall(r"line (\d+)", key)[0]): why for key, why in skipped.items()}
    unusable = {n: what for n, what in spoilt(messy).items() if what in CAUSES}
    assert sorted(unusable.values()) == sorted(CAUSES)
    assert reasons.keys() == unusable.keys()
    for line, what in unusable.items():
        assert CAUSES[what] in reasons[line], what
        assert f"line {line} (" in done["prepare"]


def test_every_other_row_is_in_its_set_with_composed_words(messy, done):
    rows = (messy / "mine/table.tsv").read_text().splitlines()[1:]
    table = messy / "data/table"
    texts = [(table / name / "text").read_text() for name in ("train", "dev", "test")]
    assert sum(text.count("\n") for text in texts) == len(rows) - len(CAUSES)
    whole = "".join(texts)
    assert whole == unicodedata.normalize("NFC", whole) and not re.search(r" \d", whole)
    assert "<unk>" in texts[0] and "<unk>" not in texts[1] + texts[2]


def test_what_was_killed_loses_nothing(messy, done):
    assert "the HMM system is there already" in done["align"]
    seen = [json.loads(line)["iteration"] for line in events(messy).splitlines()]
    assert seen == list(range(len(seen))) and len(seen) > 20
    assert "there already (decoding weights)" in done["decode"]
    left = [p for name in ("data", "exp") for p in (messy / name).rglob(".*")]
    assert [p for p in left if p.name.endswith((".tmp", ".old"))] == []


def test_two_languages_are_recognised(messy, done):
    wer = json.loads((messy / "exp/first/result.json").read_text())["wer"]
    assert wer["words"] > 100 and wer["percent"] < 70.0
    for language in ("en", "es"):
        assert f"test {language}" in done["score"]


def test_wrong_transcripts_are_rejected_or_first_in_the_list_of_fits(messy, done):
    table = (messy / "mine/table.tsv").read_text().splitlines()
    what = spoilt(messy)
    wrong = {
        number_of(row)
        for line, row in enumerate(table, start=1)
        if what.get(line) == "wrong transcript" and row.split("\t")[4] == "train"
    }
    fits = (messy / "data/table/align-triphone/train/fit.txt").read_text().splitlines()
    order = [number_of(line.split()[0].removesuffix("-1").removesuffix("-2")) for line in fits]
    # As many as there are wrong ones, of which chance would find a tenth.
    first = set(order[: len(wrong)])
    assert len(wrong) > 8
    assert len(wrong & first) + len(wrong - set(order)) > len(wrong) / 2
    named = re.search(r"alignment of train: (\d+) of \d+ utterances fit their .*", done["align"])
    assert named and 0 < int(named[1]) <= 2 * len(wrong)


def number_of(text: str) -> tuple[str, int]:
    """Language and number of the recording that a row or an utterance's name is about."""
    found = re.search(r"wavs[/_](en|es)[/_][^\t]*?[ _](\d+)(\.\w+\t|$)", text)
    assert found, text
    return found[1], int(found[2])


def test_commands_given_again_make_nothing_anew(messy, done):
    run_dir = messy / "exp/first"
    result = json.loads((run_dir / "result.json").read_text())
    kept = ("data", "exp/first/decode", "exp/first/checkpoints")
    before, model = stamps(messy, *kept), (run_dir / "model.safetensors").read_bytes()
    said = {verb: Shell(messy).run(line, MORE[verb]) for verb, line in COMMANDS.items()}
    assert stamps(messy, *kept) == before
    assert (run_dir / "model.safetensors").read_bytes() == model
    assert json.loads((run_dir / "result.json").read_text())["wer"] == result["wer"]
    assert "the corpus is there already" in said["prepare"]
    # Features, alignments and stores of three sets; systems; graphs of two languages.
    assert said["features"].count("there already") == 3
    assert said["align"].count("there already") == 2 * 3 + 2 + 2
    assert "continuing after iteration 25" in said["train"]
    assert "iteration 1," not in said["train"]
    # The weights, two sets and the graphs.
    assert said["decode"].count("there already") == 1 + 2 + 2
    for line in "".join(said.values()).splitlines():
        assert "made again" not in line
