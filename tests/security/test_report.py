"""A report of a run folder that somebody else has written."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from asr_hf.report.comparison.page import page
from asr_hf.report.comparison.tables import as_csv, as_json, as_text
from asr_hf.report.html import write_report
from asr_hf.runtime.errors import InputError
from asr_hf.stages.compare import compare

EVIL = "</td><img src=x onerror=alert(1)>\"'><script>alert(2)</script>"
COUNTS = ("errors", "words", "substitutions", "deletions", "insertions", "utterances")
ERRORS = dict.fromkeys(COUNTS, 5) | {"percent": 12.5, "interval": [10.0, 15.0]}
SET = ERRORS | {"languages": {"en": ERRORS, "de": ERRORS}, "hub5": {"swb": ERRORS}}


def event(number: int) -> dict[str, Any]:
    return {
        "iteration": number,
        "optimiser": "hf",
        "phase_seconds": {"gradient": 0.5, "curvature": 0.5},
        "train_loss": 2.0 - number / 10,
        "heldout_loss": 2.1 - number / 10,
        "heldout_frame_error": 0.5,
        "seconds": float(number),
        "work": 100.0 * number,
        "frames": {"gradient": 100 * number, "curvature": 10, "loss": 10},
        "cg_iterations": 10 + number,
        "cg_reason": "progress",
        "lambda": 1.0,
        "rho": 0.7,
        "step": 1.0,
        "accepted": True,
        "gradient_frames": 100,
        "curvature_frames": 10,
        "gradient_norm": 0.5,
        "learning_rate": 0.1,
    }


FILES: dict[str, Any] = {
    "events.jsonl": [event(n) for n in range(4)],
    "config.yaml": {
        "name": "demo",
        "model": {"_target_": "asr_hf.models.dnn.Dnn", "hidden_sizes": [8, 8]},
        "solver": {"_target_": "asr_hf.hf.solvers.cg.ConjugateGradient", "tolerance": 0.1},
        "trainer": {"stopping": {"max_iterations": 3}},
    },
    "result.json": {
        "name": "demo",
        "optimiser": "hf",
        "heldout_loss": 1.8,
        "heldout_frame_error": 0.5,
        "iterations": 3,
        "seconds": 3.0,
        "work": 300.0,
        "parameters": 1000,
        "frames": {"gradient": 300, "curvature": 10, "loss": 10},
        "wer": ERRORS | {"set": "test", "sets": {"test": SET, "dev": ERRORS}},
    },
    "score.json": {
        "worst": [
            {
                "set": "test",
                "utterance": "u1",
                "errors": 2,
                "words": 4,
                "alignment": [["to", "two"], ["the", None], [None, "a"]],
            }
        ]
    },
}


def write(folder: Path, files: dict[str, Any]) -> None:
    for name, content in files.items():
        text = json.dumps(content)
        if name == "events.jsonl":
            text = "".join(json.dumps(one) + "\n" for one in content)
        (folder / name).write_text(text)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where every value stands."""
    if path:
        yield path
    if isinstance(value, dict):
        pairs = list(value.items())
    else:
        pairs = list(enumerate(value)) if isinstance(value, list) else []
    for key, one in pairs:
        yield from places(one, (*path, key))


def replaced(path: tuple[Any, ...], what: str) -> dict[str, Any]:
    """The files with the value, or the key, at a place replaced by markup."""
    files = copy.deepcopy(FILES)
    *way, last = path
    inner = files
    for key in way:
        inner = inner[key]
    if what == "value":
        inner[last] = EVIL
    elif isinstance(last, str) and len(path) > 1:
        inner[EVIL] = inner.pop(last)
    return files


class Tags(HTMLParser):
    """Which tags and attributes a page has, and that they are balanced."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.open: list[str] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names |= {tag, *(name for name, _ in attrs)}
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names |= {tag, *(name for name, _ in attrs)}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_shows_what_the_markup_is_put_in_place_of(tmp_path):
    write(tmp_path, FILES)
    page = write_report(tmp_path).read_text()
    for shown in ("demo", "conjugate gradient", "12.50 %", "2 errors in 4 words", "u1", "two"):
        assert shown in page
    assert not {"img", "script", "onerror"} & Tags(page).names


@pytest.mark.parametrize("what", ["value", "key"])
@pytest.mark.parametrize("file", FILES)
def test_no_value_and_no_name_of_any_file_becomes_markup(tmp_path, file, what):
    """Each in turn: it is shown as text, left out, or the report is refused."""
    told = 0
    for path in places(FILES[file]):
        write(tmp_path, replaced((file, *path), what))
        try:
            page = write_report(tmp_path).read_text()
        except InputError as error:
            assert str(tmp_path) in error.problem
            told += 1
            continue
        assert not {"img", "script", "onerror"} & Tags(page).names, path
    assert told < len(list(places(FILES[file]))) or file == "score.json"


@pytest.mark.parametrize("file", ["result.json", "score.json", "config.yaml"])
@pytest.mark.parametrize("content", [[], "text", 3, None, {"worst": 3}, [EVIL]])
def test_a_file_of_another_kind_is_refused_or_shown_without_markup(tmp_path, file, content):
    write(tmp_path, FILES | {file: content})
    try:
        page = write_report(tmp_path).read_text()
    except InputError as error:
        assert str(tmp_path) in error.problem
    else:
        assert not {"img", "script", "onerror"} & Tags(page).names


def compared(folder: Path) -> list[str]:
    """A page and texts of the run in a folder beside one as asr-hf writes it."""
    comparison = compare([folder, folder.parent / "sound"])
    assert len(comparison.rows) == 2
    json.loads(as_json(comparison))
    return [page(comparison, folder.parent, "both"), as_text(comparison), as_csv(comparison)]


@pytest.fixture
def pair(tmp_path):
    """A run folder to be written to, and a sound one beside it; both have decoded a set."""
    for name in ("sound", EVIL.replace("/", "")):
        words = tmp_path / name / "decode" / "test"
        words.mkdir(parents=True)
        write(tmp_path / name, FILES)
        for file in ("ref.txt", "hyp.txt"):
            (words / file).write_text(f"{EVIL.replace(' ', '')} {EVIL}\n")
    return tmp_path / name


@pytest.mark.parametrize("what", ["value", "key"])
@pytest.mark.parametrize("file", ["events.jsonl", "config.yaml", "result.json"])
def test_no_value_and_no_name_of_any_run_becomes_markup_of_a_comparison(pair, file, what):
    for path in places(FILES[file]):
        if file == "events.jsonl" and path[0] != 1:
            continue
        write(pair, replaced((file, *path), what))
        text, *_ = compared(pair)
        assert not {"img", "script", "onerror"} & Tags(text).names, path
        assert escape(pair.name) in text


@pytest.mark.parametrize("file", ["events.jsonl", "result.json", "config.yaml"])
@pytest.mark.parametrize("content", [[], "text", 3, None, {"worst": 3}, [EVIL]])
def test_a_run_with_a_file_of_another_kind_is_compared_or_named(pair, file, content):
    write(pair, FILES)
    (pair / file).write_text(json.dumps(content) + "\n")
    text, *_ = compared(pair)
    assert not {"img", "script", "onerror"} & Tags(text).names


@pytest.mark.parametrize("content", [[], "text", 3, None, {"held-out labels.bin": [EVIL]}])
def test_inputs_of_another_kind_are_compared_or_named(pair, content):
    (pair / "inputs.json").write_text(json.dumps(content))
    text, *_ = compared(pair)
    assert not {"img", "script", "onerror"} & Tags(text).names
