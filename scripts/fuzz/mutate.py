"""Mutates valid files in structured ways."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?")
_NUMBERS = (
    b"0", b"-1", b"1", b"nan", b"inf", b"-inf", b"1e999", b"1e-999", b"2147483648", b"-2147483649",
    b"99999999999999999999", b"9" * 400, b"9" * 5000, b"0x10", b"1_0", b"", b"1.5", b"\xd9\xa3",
    b"true",
)  # fmt: skip
_INTEGERS = (0, 1, -1, 4, 127, 255, 65535, 2**31 - 1, -(2**31), 2**32 - 1, 10**6, 2**30)
_LONG_INTEGERS = (*_INTEGERS, 2**62, -(2**62), 2**40)
_TOKENS = (
    b"\n", b"\r\n", b"\r", b" ", b"\t", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xc2\xa0", b"\xc2\x85",
    b"\xe2\x80\xa8", b"\x0b", b"|", b"\"", b"'", b"{", b"}", b"[", b"]", b"[" * 3000, b"\\", b"..",
    b"/", b"\xf0\x9f\x92\xa9", b"\xed\xa0\x80", b"a" * 5000,
)  # fmt: skip


@dataclass(frozen=True)
class Move:
    """A change of a file.

    Args:
        kind: number of the kind; the remainder is an index into `_KINDS`.
        place: position as a share of the content.
        value: number that decides all else.
    """

    kind: int
    place: float
    value: int


def draw_moves(draw: random.Random) -> list[Move]:
    """Draw a few moves, often only one."""
    count = draw.choice((1, 1, 1, 2, 3, 5))
    return [
        Move(draw.randrange(1 << 16), draw.random(), draw.getrandbits(32)) for _ in range(count)
    ]


def mutated(content: bytes, moves: Sequence[Move], tokens: Sequence[bytes]) -> bytes:
    """Apply all moves to a file's content.

    Args:
        content: content of a valid file.
        moves: changes, in order.
        tokens: words of the file's format, to be inserted where they do not belong.

    Returns:
        The changed content.
    """
    words = (*tokens, *tokens, *_TOKENS)
    for move in moves:
        content = _KINDS[move.kind % len(_KINDS)](content, move, words)
    return content


def _at(content: bytes, move: Move) -> int:
    return min(int(move.place * (len(content) + 1)), len(content))


def _flip(content: bytes, move: Move, _: Sequence[bytes]) -> bytes:
    at = _at(content, move)
    return (
        content[:at]
        + bytes(b ^ (1 << move.value % 8) for b in content[at : at + 1])
        + (content[at + 1 :])
    )


def _set_byte(content: bytes, move: Move, _: Sequence[bytes]) -> bytes:
    at = _at(content, move)
    return content[:at] + bytes([move.value % 256]) + content[at + 1 :]


def _truncate(content: bytes, move: Move, _: Sequence[bytes]) -> bytes:
    return content[: _at(content, move)]


def _delete(content: bytes, move: Move, _: Sequence[bytes]) -> bytes:
    at = _at(content, move)
    return content[:at] + content[at + 1 + move.value % 64 :]


def _duplicate(content: bytes, move: Move, _: Sequence[bytes]) -> bytes:
    at = _at(content, move)
    end = at + 1 + move.value % 256
    return content[:end] + content[at:]


def _insert_token(content: bytes, move: Move, words: Sequence[bytes]) -> bytes:
    at = _at(content, move)
    return content[:at] + words[move.value % len(words)] + content[at:]


def _replace_word(content: bytes, move: Move, words: Sequence[bytes]) -> bytes:
    matches = list(re.finditer(rb"\S+", content))
    if not matches:
        return content
    match = matches[min(int(move.place * len(matches)), len(matches) - 1)]
    return content[: match.start()] + words[move.value % len(words)] + content[match.end() :]


def _replace_number(content: bytes, move: Move, _: Sequence[bytes]) -> bytes:
    numbers = list(_NUMBER.finditer(content))
    if not numbers:
        return content
    match = numbers[min(int(move.place * len(numbers)), len(numbers) - 1)]
    number = _NUMBERS[move.value % len(_NUMBERS)]
    return content[: match.start()] + number + content[match.end() :]


def _write_integer(content: bytes, move: Move, _: Sequence[bytes]) -> bytes:
    at = _at(content, move)
    packed = struct.pack("<q", _INTEGERS[move.value % len(_INTEGERS)])[:4]
    return content[:at] + packed + content[at + 4 :]


def _write_long(content: bytes, move: Move, _: Sequence[bytes]) -> bytes:
    at = _at(content, move)
    packed = struct.pack("<q", _LONG_INTEGERS[move.value % len(_LONG_INTEGERS)])
    return content[:at] + packed + content[at + 8 :]


def _swap(content: bytes, move: Move, _: Sequence[bytes]) -> bytes:
    at = _at(content, move)
    other = move.value % (len(content) + 1)
    first, second = sorted((at, other))
    length = min(32, second - first)
    first_piece, second_piece = content[first : first + length], content[second : second + length]
    between = content[first + length : second]
    return content[:first] + second_piece + between + first_piece + content[second + length :]


def _repeat_line(content: bytes, move: Move, _: Sequence[bytes]) -> bytes:
    lines = content.split(b"\n")
    at = min(int(move.place * len(lines)), len(lines) - 1)
    return b"\n".join([*lines[: at + 1], *lines[at : at + 1 + move.value % 4], *lines[at + 1 :]])


_KINDS = (
    _flip,
    _set_byte,
    _truncate,
    _delete,
    _duplicate,
    _insert_token,
    _replace_word,
    _replace_number,
    _write_integer,
    _write_long,
    _swap,
    _repeat_line,
)
