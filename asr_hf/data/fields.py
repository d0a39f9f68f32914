"""Parses lines of text files: their words, and the values behind their keys.

One rule holds for every data file, asr-hf's and Kaldi's: only line feeds end lines, and only ASCII
blanks separate words, as in Kaldi. Python's `splitlines` and `split` know more ends of lines and
more blanks (U+0085, U+2028, U+00A0 ...) and must not be used on such files. In transcripts,
lexicons and language models, which people write, other white space inside a word is refused.
"""

from __future__ import annotations

import math
import os
import re
import unicodedata
from pathlib import Path

from asr_hf.runtime.errors import InputError

BLANK = " \t\r\n"
SEGMENT = "recording, start and end in seconds, 0 <= start < end (-1: to the end)"
CHANNEL = "the recording's file name and its channel: A, B or a number from 1"
_BLANKS = re.compile(r"[ \t]+")
# A carriage return counts too, unless it stands at the end of the line.
_OTHER_SPACE = re.compile(r"[^\S \t]")


def words_of(line: str, splits: int = 0) -> list[str]:
    r"""Return the words of a line, which only ASCII blanks separate, as in Kaldi.

    >>> words_of("utt1  good day\n")
    ['utt1', 'good', 'day']
    >>> words_of("utt1  good day\n", splits=1)
    ['utt1', 'good day']

    Args:
        line: one line, with or without its end.
        splits: number of words that are split off; the rest stays whole. 0 splits all.
    """
    bare = line.strip(BLANK)
    if splits:
        return _BLANKS.split(bare, maxsplit=splits) if bare else []
    # Several times as fast as a regular expression, for texts of millions of words.
    return [word for word in bare.replace("\t", " ").split(" ") if word]


def lines_of(text: str) -> list[str]:
    """Return the lines of a text, which only line feeds end; the last one need not be ended."""
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def decoded(path: str | os.PathLike[str], content: bytes) -> str:
    """Return the text of a UTF-8 file, without its byte order mark.

    Args:
        path: path of the file, for messages.
        content: content of the file.

    Raises:
        InputError: the content is not UTF-8; the message names the byte and the line.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{os.fspath(path)}: not UTF-8 at byte {error.start}, in line {line}",
            expected="UTF-8 text",
            remedy="convert the file, e.g. with iconv -f latin1 -t utf-8",
        ) from error


def read_lines(path: str | os.PathLike[str], what: str, remedy: str = "") -> list[str]:
    """Return the lines of a text file.

    Args:
        path: the file, in UTF-8.
        what: name of the file for messages, such as "the lexicon".
        remedy: what the user can do if the file is missing, for the message.

    Raises:
        InputError: the file cannot be read, or is not UTF-8.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(
            f"{os.fspath(path)}: {what} cannot be read: {error.strerror or error}", remedy=remedy
        ) from error
    return lines_of(decoded(path, content))


def other_space(line: str) -> str:
    r"""Find white space inside a line that is neither a blank nor a tab.

    >>> other_space("good\xa0day")
    "U+00A0 (NO-BREAK SPACE) inside 'good\\xa0day'"

    Returns:
        Code and name of the white space, and the word around it; "" if there is none.
    """
    match = (
        None if line.isascii() and line.isprintable() else _OTHER_SPACE.search(line.strip(BLANK))
    )
    if match is None:
        return ""
    space = match[0]
    name = unicodedata.name(space, "a control character")
    around = next(word for word in words_of(line) if space in word)
    return f"U+{ord(space):04X} ({name}) inside {around[:60]!r}"


def composed(text: str) -> str:
    """Return a text in Unicode's composed form (NFC), the form in which words are compared."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def existing_file(path: str) -> str:
    """Return a file's path in the Unicode form that the disk has.

    Some systems compose names (NFC), others decompose them (NFD), and tables of file names travel
    between them.

    Args:
        path: path of the file, in any form.

    Returns:
        The path that exists; the given one if none does.
    """
    if path.isascii() or os.path.lexists(path):
        return path
    head, name = os.path.split(path)
    folder = existing_file(head) if head else ""
    try:
        names = os.listdir(folder or ".")
    except (OSError, ValueError):
        return path
    same = [existing for existing in names if composed(existing) == composed(name)]
    return os.path.join(folder, same[0]) if same else path


def parse_segment(text: str) -> tuple[str, float, float | None] | None:
    """Return recording, start and end (seconds) of a line of segments; None if it is malformed.

    >>> parse_segment("rec1 0.5 2.25")
    ('rec1', 0.5, 2.25)
    >>> parse_segment("rec1 0.5 -1")
    ('rec1', 0.5, None)
    """
    try:
        recording, start, end = words_of(text)
        first, last = float(start), float(end)
    except ValueError:
        return None
    if last == -1 and 0 <= first < math.inf:
        return recording, first, None
    return (recording, first, last) if 0 <= first < last < math.inf else None


def parse_channel(text: str) -> int | None:
    """Return the channel, from 0, of a line of reco2file_and_channel; None if it is malformed.

    >>> parse_channel("rec1 B")
    1
    """
    names = words_of(text)[1:]
    if len(names) != 1:
        return None
    named = {"A": 1, "B": 2}.get(names[0])
    number = named or (int(names[0]) if re.fullmatch(r"[0-9]{1,4}", names[0]) else 0)
    return number - 1 if number else None


def expected_of(file: str, value: str) -> str:
    """Return what `file` should hold instead of a malformed value; "" for a well-formed one."""
    match file:
        case "utt2spk":
            return "" if len(words_of(value)) == 1 else "one speaker"
        case "utt2lang":
            return "" if len(words_of(value)) == 1 else "one language"
        case "segments":
            return "" if parse_segment(value) else SEGMENT
        case "reco2file_and_channel":
            return "" if parse_channel(value) is not None else CHANNEL
    return ""
