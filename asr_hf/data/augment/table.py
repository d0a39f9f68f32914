"""The table of copies: a file in the data directory, with a line of JSON for each copy."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from asr_hf.data.augment.chain import Effects
from asr_hf.data.fields import read_lines
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_text

FILE_NAME = "augmentation.jsonl"


@dataclass(frozen=True)
class Copy:
    """One copy of an utterance.

    Args:
        utterance: name of the copy.
        clean: name of the utterance that was copied.
        number: number of the copy among those of the same utterance, from 1.
        effects: effects of the copy.
    """

    utterance: str
    clean: str
    number: int
    effects: Effects


def write_copies(folder: Path, copies: Iterable[Copy]) -> None:
    """Write copies to augmentation.jsonl in a data directory."""
    lines = []
    for copy in copies:
        row = {"utterance": copy.utterance, "clean": copy.clean, "copy": copy.number}
        lines.append(json.dumps(row | copy.effects.to_dict()) + "\n")
    write_text(folder / FILE_NAME, "".join(lines))


def read_copies(folder: Path) -> dict[str, Copy]:
    """Read the copies that `write_copies` has written.

    Args:
        folder: the data directory.

    Returns:
        The copies, by their names; none for a set without copies.

    Raises:
        InputError: a line is damaged.
    """
    path = folder / FILE_NAME
    if not path.exists():
        return {}
    copies = {}
    lines = read_lines(path, "the table of copies", "prepare the corpus again")
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            copy = Copy(row["utterance"], row["clean"], row["copy"], Effects.from_dict(row))
        except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
            raise InputError(
                f"{path}:{number}: damaged: {error!r}", remedy="prepare the corpus again"
            ) from error
        copies[copy.utterance] = copy
    return copies
