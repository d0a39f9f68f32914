"""Decoding graphs of Kaldi's mkgraph.sh, with their words and pronunciations."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from asr_hf.data.fields import words_of
from asr_hf.kaldi.alignments import refuse_subsampled
from asr_hf.kaldi.transition_model import KaldiTransitionModel, read_transition_model
from asr_hf.runtime.errors import InputError

_LARGEST_PHONE = 1_000_000


@dataclass(frozen=True)
class KaldiGraph:
    """A folder with HCLG.fst and words.txt, and the model that the graph was made with.

    Args:
        fst: the graph's file; inputs are transition ids.
        words: words by their ids, epsilon among them.
        transitions: transition model of final.mdl.
        pronunciations: pronunciations of each word as phone ids in text, from
            phones/align_lexicon.int; those of epsilon stand for pauses. None where there is no such
            file.
    """

    fst: Path
    words: list[str]
    transitions: KaldiTransitionModel
    pronunciations: dict[str, list[tuple[str, ...]]] | None = None

    @classmethod
    def open(cls, folder: Path) -> KaldiGraph:
        """Read words and model; the graph itself is read where it is used.

        Returns:
            The graph's folder.

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
        refuse_subsampled(model.parent)
        words = read_symbols(folder / "words.txt")
        lexicon = folder / "phones" / "align_lexicon.int"
        pronunciations = read_align_lexicon(lexicon, words) if lexicon.is_file() else None
        return cls(folder / "HCLG.fst", words, read_transition_model(model), pronunciations)


def read_symbols(path: Path) -> list[str]:
    """Read a symbol table, words.txt or phones.txt.

    Returns:
        The symbol of each id; empty where an id has none.

    Raises:
        InputError: it cannot be read, or a line is not `symbol id`.
    """
    lines = _lines(path, "lines `symbol id`")
    symbols: dict[int, str] = {}
    for number, line in enumerate(lines, 1):
        fields = words_of(line)
        # No table of words has ids far beyond their number.
        if len(fields) != 2 or not _is_id(fields[1], 100 * len(lines)):
            raise InputError(f"{path}:{number}: {line[:60]!r}", expected="symbol id")
        if int(fields[1]) in symbols:
            raise InputError(
                f"{path}:{number}: the id {fields[1]} is that of {symbols[int(fields[1])]!r} too",
                expected="an id of its own for each symbol",
            )
        symbols[int(fields[1])] = fields[0]
    if not symbols:
        raise InputError(f"{path}: empty", expected="lines `symbol id`")
    return [symbols.get(number, "") for number in range(max(symbols) + 1)]


def read_align_lexicon(path: Path, words: list[str]) -> dict[str, list[tuple[str, ...]]]:
    """Read align_lexicon.int, whose lines are a word's id, the id written for it, and phone ids.

    Args:
        path: the file.
        words: words by their ids, epsilon first.

    Returns:
        Pronunciations of each word, phone ids as text.

    Raises:
        InputError: it cannot be read, or a line is of another form.
    """
    lines = _lines(path, "ids")
    pronunciations: dict[str, list[tuple[str, ...]]] = {}
    for number, line in enumerate(lines, 1):
        fields = words_of(line)
        well_formed = len(fields) > 1 and all(_is_id(field, _LARGEST_PHONE) for field in fields[2:])
        if not well_formed or not all(_is_id(field, len(words) - 1) for field in fields[:2]):
            raise InputError(
                f"{path}:{number}: {line[:60]!r}",
                expected="a word's id twice, as in words.txt, and the ids of its phones",
                remedy="copy phones/ of the lang folder that the graph was made with",
            )
        pronunciations.setdefault(words[int(fields[0])], []).append(tuple(fields[2:]))
    return pronunciations


def _lines(path: Path, expected: str) -> list[str]:
    """Split a file into lines as Kaldi does, only at line feeds.

    Returns:
        The lines.

    Raises:
        InputError: the file cannot be read, or a line is not UTF-8; the message names it.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        problem = f"{path}: cannot be read: {error.strerror or error}"
        raise InputError(problem, expected=expected) from error
    try:
        lines = raw.decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        number = raw.count(b"\n", 0, error.start) + 1
        line = raw.split(b"\n")[number - 1]
        raise InputError(
            f"{path}:{number}: not UTF-8: {line[:60]!r}",
            expected=expected,
            remedy="convert the lang folder, e.g. with iconv, and make the graph again",
        ) from error
    return lines if lines[-1] else lines[:-1]


def _is_id(text: str, max_id: int) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10 and int(text) <= max_id
