"""Cut-scenes: what is said in each of their steps, and who says it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from asr_hf.data.fields import read_lines
from asr_hf.runtime.errors import InputError

from .dialogue import HERO
from .fields import FETCH, START, Fields
from .lines import Line

SUFFIX = ".CUT"
_COUNT, _PLACES, _STEPS = START + 2, START + 6, START + 12
# Numbers of a step: the slot that speaks comes first; where the animated one is not 0, frames of
# ten numbers follow, up to one that begins with -2.
_STEP, _ANIMATED = 17, 5
_FRAME, _LAST = 10, -2
_ALIGNMENT = 2
_KEY = 5
# Captions.
_WRITTEN = -4
UNKNOWN = "a scene's line whose speaker is not known"
HELD_OUT = "a scene's line of a character that is held out"


@dataclass(frozen=True)
class Step:
    """What is said in one step of a scene.

    Args:
        key: name of its recordings without the number of the piece.
        slot: number of the slot that speaks: 0 for the hero, below 0 for nobody that is seen.
        text: its text with commands.
    """

    key: str
    slot: int
    text: str


def read_scene(name: str, fields: Fields) -> list[Step]:
    """Read the steps of a scene in which there is a text.

    Args:
        name: name of the entry.
        fields: content of the entry.

    Returns:
        The steps in their order.

    Raises:
        InputError: the entry is cut short, or its parts are not where it says.
    """
    (count,) = fields.numbers(_COUNT, 1)
    states_at, texts_at, _ = fields.places(_PLACES, 3)
    slots, at = [], _STEPS
    for _ in range(abs(count)):
        step = fields.numbers(at, _STEP)
        (people,) = fields.numbers(at + 2 * _STEP, 1)
        at += 2 * (_STEP + 1 + max(people, 0))
        slots.append(step[0])
        if step[_ANIMATED]:
            while fields.numbers(at, 1)[0] != _LAST:
                at += 2 * _FRAME
            at += 2
    if at + 2 != states_at:
        raise InputError(
            f"{fields.source}: its {abs(count)} steps end at {at}",
            expected=f"{states_at - 2}",
            remedy=FETCH,
        )
    base = name.removesuffix(SUFFIX).ljust(_KEY, "_")
    # The first string is of the scene itself, and not spoken.
    _, at = fields.text(texts_at, _ALIGNMENT)
    steps = []
    for number, slot in enumerate(slots, start=1):
        text, at = fields.text(at, _ALIGNMENT)
        if text and slot != _WRITTEN:
            steps.append(Step(f"{base}{number:02}", slot, text))
    return steps


def read_speakers(path: Path) -> dict[str, str]:
    """Read the table of those who speak.

    Returns:
        What a slot is called, or scene and number of a slot -> character.

    Raises:
        InputError: it cannot be read, or a line has no tab.
    """
    speakers = {}
    for number, line in enumerate(read_lines(path, "the table of speakers"), start=1):
        if line and not line.startswith("#"):
            left, tab, right = line.partition("\t")
            if not tab:
                raise InputError(f"{path}:{number}: no tab in {line!r}")
            speakers[left] = right.strip()
    return speakers


def scene_line(
    step: Step, names: dict[int, str], speakers: dict[str, str], held_out: frozenset[str]
) -> Line:
    """Return a step's line with its speaker.

    Args:
        step: the step.
        names: names of the slots.
        speakers: table of those who speak.
        held_out: characters that are not trained on.
    """
    scene = step.key[:_KEY].rstrip("_")
    called = HERO if step.slot == 0 else speakers.get(names.get(step.slot, ""), "")
    speaker = speakers.get(f"{scene} {step.slot}", called)
    doubt = UNKNOWN if not speaker else HELD_OUT if speaker in held_out else ""
    return Line(step.key, speaker, step.text, doubt)
