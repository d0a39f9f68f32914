"""Decoding graphs of Kaldi's mkgraph.sh."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from asr_hf.kaldi.transition_model import KaldiTransitionModel, read_transition_model
from asr_hf.runtime.errors import InputError


@dataclass(frozen=True)
class KaldiGraph:
    """A folder with HCLG.fst and words.txt, and the model that the graph was made with.

    Args:
        fst: the graph's file; inputs are transition ids.
        words: by their ids, epsilon among them.
        transitions: the transition model of final.mdl.
    """

    fst: Path
    words: list[str]
    transitions: KaldiTransitionModel

    @classmethod
    def open(cls, folder: Path) -> KaldiGraph:
        """Read words and model; the graph itself is read where it is used.

        Raises:
            InputError: a file is missing or damaged.
        """
        if not (folder / "HCLG.fst").is_file():
            raise InputError(
                f"{folder}: no HCLG.fst",
                expected="a folder of Kaldi's mkgraph.sh: HCLG.fst and words.txt",
                remedy="decode.graph=exp/tri4/graph, for example",
            )
        inside, above = folder / "final.mdl", folder.parent / "final.mdl"
        model = inside if inside.is_file() else above
        words = read_symbols(folder / "words.txt")
        return cls(folder / "HCLG.fst", words, read_transition_model(model))


def read_symbols(path: Path) -> list[str]:
    """A symbol table, words.txt or phones.txt: the symbol of each id; empty where an id has none.

    Raises:
        InputError: it cannot be read, or a line is not `symbol id`.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: cannot be read: {error}", expected="lines `symbol id`"
        ) from error
    found: dict[int, str] = {}
    for number, line in enumerate(lines, 1):
        fields = line.split()
        # No table of words has ids far beyond their number.
        if len(fields) != 2 or not _is_id(fields[1], 100 * len(lines)):
            raise InputError(f"{path}:{number}: {line[:60]!r}", expected="symbol id")
        if int(fields[1]) in found:
            raise InputError(
                f"{path}:{number}: the id {fields[1]} is that of {found[int(fields[1])]!r} too",
                expected="an id of its own for each symbol",
            )
        found[int(fields[1])] = fields[0]
    if not found:
        raise InputError(f"{path}: empty", expected="lines `symbol id`")
    return [found.get(number, "") for number in range(max(found) + 1)]


def _is_id(text: str, most: int) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10 and int(text) <= most
