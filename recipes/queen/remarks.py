"""The hero's remarks, and what the things and people of the game are called."""

from __future__ import annotations

from dataclasses import dataclass

from asr_hf.runtime.errors import InputError

from .dialogue import HERO
from .fields import FETCH, START, Fields
from .lines import Line

NUMBERS, TEXTS = "QUEEN.JAS", "QUEEN2.JAS"
# The lists in QUEEN2.JAS, a string a line: descriptions, names, rooms, verbs, answers and more.
_VERBS, _ANSWERS = 12, 40
_SLOTS, _SLOT = START + 8, 16
# What is no text but the name of an entry that is played in its place.
_PLAYED = (".CUT", ".DOG")


@dataclass(frozen=True)
class Remarks:
    """What the two lists hold.

    Args:
        lines: remarks of the hero.
        names: number of a slot -> its name.
    """

    lines: list[Line]
    names: dict[int, str]


def read_remarks(numbers: Fields, texts: Fields) -> Remarks:
    """Read the hero's remarks: answers first, then descriptions, numbered from 1.

    Args:
        numbers: content of QUEEN.JAS.
        texts: content of QUEEN2.JAS.

    Returns:
        The remarks, and the names of the slots.

    Raises:
        InputError: one of them is cut short.
    """
    rooms, names, slots, descriptions = numbers.numbers(START, 4)
    lists = [line.rstrip("\r") for line in texts.content.decode("latin-1").split("\n")]
    before = descriptions + names + rooms + _VERBS
    if min(rooms, names, slots, descriptions) < 0 or len(lists) < before + _ANSWERS:
        raise InputError(
            f"{texts.source}: {len(lists)} lines",
            expected=f"{before + _ANSWERS} or more",
            remedy=FETCH,
        )
    said = lists[before : before + _ANSWERS] + lists[:descriptions]
    lines = [
        Line(f"JOE{number:04}", HERO, text)
        for number, text in enumerate(said, start=1)
        if not text.upper().endswith(_PLAYED)
    ]
    return Remarks(lines, _names(numbers, slots, lists[descriptions : descriptions + names]))


def _names(numbers: Fields, slots: int, names: list[str]) -> dict[int, str]:
    """Read what each slot is called; a name's sign says whether it is shown at first."""
    names_of = {}
    for slot in range(1, slots + 1):
        (name,) = numbers.numbers(_SLOTS + _SLOT * (slot - 1), 1)
        if 0 < abs(name) <= len(names):
            names_of[slot] = names[abs(name) - 1]
    return names_of
