"""Long work says how far it is, on a terminal by a bar, in a file by a line now and then."""

from __future__ import annotations

import io
import logging

import pytest

from asr_hf.runtime import progress as module
from asr_hf.runtime.progress import describe, progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that is set by hand, for lines and for tqdm alike."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(module.tqdm, "_time", lambda self=None: now[0], raising=False)
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    return now


@pytest.fixture
def lines(monkeypatch, caplog):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    caplog.set_level(logging.INFO, "asr_hf")
    return lambda: [record.getMessage() for record in caplog.records]


def test_where_there_is_no_terminal_a_line_comes_after_ten_seconds_and_every_thirty(clock, lines):
    for _ in progress(range(100), desc="decoding dev", unit="utt"):
        clock[0] += 1.0
    told = lines()
    assert [line.split(" of ")[0] for line in told] == [
        f"decoding dev: {n}" for n in (10, 40, 70, 100)
    ]
    assert told[0] == "decoding dev: 10 of 100 utt (10%) in 00:10, 01:30 left"


def test_a_bar_that_is_moved_by_hand_and_has_no_end_tells_how_much_is_done(clock, lines):
    bar = progress(desc="reading", unit="row")
    for _ in range(3):
        clock[0] += 6.0
        bar.update(50)
    bar.close()
    assert lines() == ["reading: 100 row in 00:12"]


def test_short_work_and_work_that_the_log_tells_anyway_have_no_lines(clock, lines):
    for _ in progress(range(9), desc="short"):
        clock[0] += 1.0
    for _ in progress(range(90), desc="training", lines=False):
        clock[0] += 1.0
    assert lines() == []


def test_lines_of_the_log_between_do_not_repeat_or_blank_out_others(clock, lines, monkeypatch):
    from asr_hf.runtime.logs import _BesideBars

    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    logger = logging.getLogger("asr_hf.test")
    handler = _BesideBars()
    logging.getLogger("asr_hf").addHandler(handler)
    try:
        for number in progress(range(20), desc="aligning", unit="utt"):
            clock[0] += 1.0
            logger.info("word %d", number)
    finally:
        logging.getLogger("asr_hf").removeHandler(handler)
    told = written.getvalue().splitlines()
    assert [line for line in told if line.startswith("aligning")] == [
        "aligning: 10 of 20 utt (50%) in 00:10, 00:10 left"
    ]
    assert told.count("word 7") == 1 and "\r" not in written.getvalue()


def test_a_silent_log_has_silent_progress(clock, lines):
    logging.disable(logging.CRITICAL)
    try:
        for _ in progress(range(50), desc="silent"):
            clock[0] += 1.0
    finally:
        logging.disable(logging.NOTSET)
    assert lines() == []


@pytest.mark.parametrize("total", [None, 0])
def test_a_total_that_is_not_known_is_not_divided_by(total):
    state = {"n": 3, "total": total, "elapsed": 60.0, "unit": "it", "prefix": "x: "}
    assert describe(state) == "x: 3 it in 01:00"
