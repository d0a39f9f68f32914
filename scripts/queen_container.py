"""Small files like the game's queen.1c, for tests and fuzzing."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_HEAD = b"AmBk\x00\x0f\x00\x01\x80\x00\x00\x00Datas   "
_VERBS, _ANSWERS = 12, 40


@dataclass(frozen=True)
class Said:
    """A step of a scene.

    Args:
        slot: number of who speaks.
        text: with commands.
        frames: number of frames of its animation.
        people: number of those who stand about.
    """

    slot: int
    text: str
    frames: int = 0
    people: int = 0


def container(entries: Mapping[str, bytes]) -> bytes:
    """Return a container with these entries."""
    at = 15 + 21 * len(entries)
    table, contents = b"", b""
    for name, content in entries.items():
        place = at + len(contents)
        table += struct.pack(">12sBII", name.encode(), 1, place, len(content))
        contents += content
    return b"QTBLCEM10\x00\x00\x00\x01" + struct.pack(">H", len(entries)) + table + contents


def string(text: str, at: int, alignment: int) -> bytes:
    """Return a string that stands at `at`, and what fills it up."""
    raw = text.encode("latin-1")
    padding = -(at + 1 + len(raw)) % alignment if raw else 0
    return bytes([len(raw)]) + raw + bytes(padding)


def dialogue(
    room: int,
    hero: Sequence[tuple[int, str]],
    other: Sequence[tuple[int, str]],
    greetings: tuple[str, str] = ("0", "0"),
    levels: int = 1,
) -> bytes:
    """Return a dialogue.

    Args:
        room: number of the room.
        hero: numbers and texts of the hero's lines.
        other: numbers and texts of the other's lines.
        greetings: what the other and the hero say when they meet again.
        levels: number of the levels of choices; below 0 it is one that the game plays once.
    """
    content = bytearray(_HEAD + bytes(32 + 96 * abs(levels)))
    places = []
    for lines in (hero, other):
        places.append(len(content) - 20)
        for number, text in lines:
            content += struct.pack(">I", number)
            content += string(text, len(content), 4)
    places.append(len(content) - 20)
    content += bytes(4)
    again = len(content) - 20
    for text in greetings:
        content += string(text, len(content), 2)
    struct.pack_into(">5h", content, 20, levels, room, room, len(hero), len(other))
    struct.pack_into(">3H", content, 42, *places[1:], again)
    return bytes(content)


def scene(steps: Sequence[Said]) -> bytes:
    """Return a cut-scene."""
    content = bytearray(_HEAD + bytes(12))
    for step in steps:
        numbers = [step.slot, *[0] * 16]
        numbers[5] = int(step.frames > 0)
        content += struct.pack(">17h", *numbers)
        content += struct.pack(f">{1 + step.people}h", step.people, *[0] * step.people)
        content += struct.pack(">10h", 7, *[0] * 9) * step.frames
        content += struct.pack(">h", -2) if step.frames else b""
    content += bytes(2)
    states = len(content) - 20
    content += bytes(6)
    texts = len(content) - 20
    for text in ("", *(step.text for step in steps)):
        content += string(text, len(content), 2)
    struct.pack_into(">hhh3H", content, 20, 0, len(steps), 0, states, texts, len(content) - 20)
    return bytes(content)


def lists(descriptions: Sequence[str], answers: Sequence[str], names: Sequence[str]) -> bytes:
    """Return the content of QUEEN2.JAS."""
    told = [*answers, *[""] * (_ANSWERS - len(answers))]
    lines = [*descriptions, *names, *["verb"] * _VERBS, *told]
    return "\r\n".join(lines).encode("latin-1")


def numbers(descriptions: int, names: int, slots: Sequence[int]) -> bytes:
    """Return the content of QUEEN.JAS, for lists without rooms; a slot is the number of a name."""
    head = struct.pack(">4H", 0, names, len(slots), descriptions)
    return _HEAD + head + b"".join(struct.pack(">8h", name, *[0] * 7) for name in slots)
