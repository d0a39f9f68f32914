"""What a line of a text file holds: its words, and what may stand behind its key.

One rule holds for every file of data, ours and Kaldi's: only line feeds end lines, and only ASCII
blanks part words, as in Kaldi. Python's `splitlines` and `split` know more ends and blanks (U+0085,
U+2028, U+00A0 ...) and are not for such files. Where a person wrote the words, in transcripts,
lexicons and language models, other white space inside a word is refused.
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
# Carriage returns elsewhere than at a line's end are white space like any other.
_OTHER_SPACE = re.compile(r"[^\S \t]")


def words_of(line: str, splits: int = 0) -> list[str]:
    """Return a line's words as Kaldi parts them, only by ASCII blanks; none of an empty line.

    Args:
        line: one line, with or without its end.
        splits: the number of words that are split off, the rest stays whole; 0 splits all.
    """
    bare = line.strip(BLANK)
    if splits:
        return _BLANKS.split(bare, maxsplit=splits) if bare else []
    # Several times as fast as an expression, for lexicons and texts of millions of words.
    return [word for word in bare.replace("\t", " ").split(" ") if word]


def lines_of(text: str) -> list[str]:
    """Return the lines of a text; only line feeds end them, and nothing follows the last one."""
    lines = text.split("\n")
    return lines if lines[-1] else lines[:-1]


def decoded(path: str | os.PathLike[str], content: bytes) -> str:
    """Return the text of a file in UTF-8, without its byte order mark.

    Raises:
        InputError: it is not UTF-8; the byte and its line are named.
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
        what: it is, for messages: "the lexicon".
        remedy: what makes it when it is missing.

    Raises:
        InputError: it cannot be read, or is not UTF-8.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(
            f"{os.fspath(path)}: {what} cannot be read: {error.strerror or error}", remedy=remedy
        ) from error
    return lines_of(decoded(path, content))


def other_space(line: str) -> str:
    """Return what white space other than blanks and tabs stands inside a line; nothing for none.

    Returns:
        Its code and name, and the word around it.
    """
    found = (
        None if line.isascii() and line.isprintable() else _OTHER_SPACE.search(line.strip(BLANK))
    )
    if found is None:
        return ""
    space = found[0]
    name = unicodedata.name(space, "a control character")
    around = next(word for word in words_of(line) if space in word)
    return f"U+{ord(space):04X} ({name}) inside {around[:60]!r}"


def composed(text: str) -> str:
    """Return a text in Unicode's composed form (NFC), in which words are compared."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def existing_file(path: str) -> str:
    """Return a file's path as the disk has it, where its name is written in another Unicode form.

    Names are composed on some systems (NFC) and decomposed on others (NFD); tables and lists
    travel between them.

    Returns:
        The path itself when it exists, or when no other form of it does.
    """
    if path.isascii() or os.path.lexists(path):
        return path
    head, name = os.path.split(path)
    folder = existing_file(head) if head else ""
    try:
        names = os.listdir(folder or ".")
    except (OSError, ValueError):
        return path
    same = [one for one in names if composed(one) == composed(name)]
    return os.path.join(folder, same[0]) if same else path


def parse_segment(text: str) -> tuple[str, float, float | None] | None:
    """(recording, start, end) of a line of segments; None when it is malformed."""
    try:
        recording, start, end = words_of(text)
        first, last = float(start), float(end)
    except ValueError:
        return None
    if last == -1 and 0 <= first < math.inf:
        return recording, first, None
    return (recording, first, last) if 0 <= first < last < math.inf else None


def parse_channel(text: str) -> int | None:
    """0-based channel of a line of reco2file_and_channel; None when it is malformed."""
    names = words_of(text)[1:]
    if len(names) != 1:
        return None
    named = {"A": 1, "B": 2}.get(names[0])
    number = named or (int(names[0]) if re.fullmatch(r"[0-9]{1,4}", names[0]) else 0)
    return number - 1 if number else None


def expected_of(file: str, value: str) -> str:
    """Return what `file` should hold in place of a malformed value; nothing when it is well formed."""
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
