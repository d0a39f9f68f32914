"""Dialogues: what the hero may say to a character, and what this one answers."""

from __future__ import annotations

from asr_hf.runtime.errors import InputError

from .fields import FETCH, START, Fields
from .lines import Line

HERO = "joe"
SUFFIX = ".DOG"
# Where numbers and parts of the entry stand.
_HEAD, _PLACES, _LEVELS = START, START + 22, START + 32
# Six choices of 16 bytes.
_LEVEL = 96
_ALIGNMENT = 4
_GREETING_ALIGNMENT = 2
# Stands for no greeting.
_NOTHING = "0"


def character(name: str) -> str:
    """Return the character that a dialogue is held with: its name without number and ending."""
    return name.removesuffix(SUFFIX).rstrip("0123456789").lower()


def read_dialogue(name: str, fields: Fields) -> list[Line]:
    """Read the lines of a dialogue.

    Recordings are named by two digits of the room, four hexadecimal digits of the line, J for the
    hero or P for the other. In place of the line's digits stand S for what the hero says first, and
    X for the greetings when both meet again.

    Args:
        name: name of the entry.
        fields: content of the entry.

    Returns:
        The hero's lines, the other's, and the greetings.

    Raises:
        InputError: the entry is cut short, or its parts are not where it says.
    """
    levels, _, room, hero_lines, other_lines = fields.numbers(_HEAD, 5)
    others_at, _, greetings_at = fields.places(_PLACES, 3)
    if not 0 <= room <= 99 or hero_lines < 0 or other_lines < 0:
        raise InputError(
            f"{fields.source}: room {room}, {hero_lines} and {other_lines} lines",
            expected="a room from 0 to 99, 0 or more lines",
            remedy=FETCH,
        )
    hero, end = _numbered(fields, _LEVELS + _LEVEL * abs(levels), hero_lines)
    if end != others_at:
        raise InputError(
            f"{fields.source}: the hero's lines end at {end}",
            expected=f"the other's lines, which begin at {others_at}",
            remedy=FETCH,
        )
    other, _ = _numbered(fields, others_at, other_lines)
    speaker = character(name)
    lines = [
        Line(f"{room:02}{f'{number:04X}' if index else 'SSSS'}J", HERO, text)
        for index, (number, text) in enumerate(hero)
        if text != _NOTHING
    ]
    lines += [Line(f"{room:02}{number:04X}P", speaker, text) for number, text in other]
    answer, at = fields.text(greetings_at, _GREETING_ALIGNMENT)
    greeting, _ = fields.text(at, _GREETING_ALIGNMENT)
    again = [(f"{room:02}XXXXP", speaker, answer), (f"{room:02}XXXXJ", HERO, greeting)]
    return lines + [Line(*line) for line in again if line[-1] != _NOTHING]


def _numbered(fields: Fields, at: int, count: int) -> tuple[list[tuple[int, str]], int]:
    """Read lines with their numbers, and where the last one ends."""
    lines = []
    for _ in range(count):
        high, low = fields.numbers(at, 2)
        text, at = fields.text(at + 4, _ALIGNMENT)
        lines.append(((high & 0xFFFF) << 16 | low & 0xFFFF, text))
    return lines, at
