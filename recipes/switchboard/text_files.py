"""Reads the text files of the corpora line by line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from asr_hf.data.fields import BLANK
from asr_hf.runtime.errors import InputError


def numbered_lines(path: Path, comment: str = "") -> Iterator[tuple[str, str]]:
    """Read every line that is neither blank nor a comment.

    Args:
        path: the file, in UTF-8 or Latin-1.
        comment: beginning of a comment; empty where there are none.

    Yields:
        file:line for messages, and the line.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    for number, line in enumerate(text.split("\n"), start=1):
        bare = line.strip(BLANK)
        if bare and not (comment and bare.startswith(comment)):
            yield f"{path}:{number}", bare


def parse_times(place: str, start: str, end: str) -> tuple[float, float]:
    """Parse start and end of a stretch.

    Returns:
        Both in seconds.

    Raises:
        InputError: they are no numbers, or the end is before the start.
    """
    try:
        first, last = float(start), float(end)
    except ValueError:
        first, last = 0.0, -1.0
    if not 0 <= first <= last < 1e6:
        raise InputError(f"{place}: from {start!r} to {end!r}", expected="start and end in seconds")
    return first, last
