"""Finds the utterances with most errors, and shows them aligned word by word."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asr_hf.scoring.alignment import EditCounts, WordPair, count_errors, word_alignment
from asr_hf.scoring.wer import Transcripts

_LABELS = ("REF: ", "HYP: ", "EVAL:")


@dataclass(frozen=True)
class AlignedUtterance:
    """One utterance, aligned with its reference.

    Args:
        name: name of the utterance.
        counts: numbers of its errors and words.
        alignment: pairs (reference word, hypothesis word); None marks a gap.
    """

    name: str
    counts: EditCounts
    alignment: list[WordPair]


def worst_utterances(refs: Transcripts, hyps: Transcripts, count: int) -> list[AlignedUtterance]:
    """Return the utterances with most errors, at most `count` of them.

    Of utterances with as many errors the shorter comes first; utterances without errors are left
    out.

    Args:
        refs: reference words of each utterance.
        hyps: hypothesis words of each utterance; a missing one counts as empty.
        count: largest number of utterances.
    """
    aligned = []
    for name, ref in refs.items():
        alignment = word_alignment(ref, hyps.get(name, ()))
        counts = count_errors(alignment)
        if counts.errors:
            aligned.append(AlignedUtterance(name, counts, alignment))
    aligned.sort(key=lambda u: (-u.counts.errors, u.counts.words, u.name))
    return aligned[:count]


def format_alignment(alignment: Sequence[WordPair], width: int = 100) -> str:
    """Format an alignment as lines REF, HYP and EVAL in columns.

    Gaps are stars; EVAL marks substitutions S, deletions D and insertions I.

    Args:
        alignment: pairs (reference word, hypothesis word); None marks a gap.
        width: number of characters at which lines are broken.

    Returns:
        The lines, as one text.
    """
    columns = [_column(ref, hyp) for ref, hyp in alignment]
    blocks: list[list[tuple[str, str, str]]] = [[]]
    used = len(_LABELS[0])
    for column in columns:
        size = 1 + len(column[0])
        if blocks[-1] and used + size > width:
            blocks.append([])
            used = len(_LABELS[0])
        blocks[-1].append(column)
        used += size
    return "\n\n".join(
        "\n".join(
            " ".join([label, *(column[row] for column in block)]).rstrip()
            for row, label in enumerate(_LABELS)
        )
        for block in blocks
    )


def format_utterance(utterance: AlignedUtterance, width: int = 100) -> str:
    """Format the name, the counts and the alignment of one utterance.

    Args:
        utterance: the utterance.
        width: number of characters at which lines are broken.

    Returns:
        The lines, as one text.
    """
    counts = utterance.counts
    parts = [
        f"{number} {name}"
        for number, name in (
            (counts.substitutions, "substituted"),
            (counts.deletions, "deleted"),
            (counts.insertions, "inserted"),
        )
        if number
    ]
    head = f"{utterance.name}: {counts.errors} errors in {counts.words} words"
    if counts.errors == 1:
        head = head.replace("errors", "error")
    return f"{head} ({', '.join(parts)})\n{format_alignment(utterance.alignment, width)}"


def _column(ref: str | None, hyp: str | None) -> tuple[str, str, str]:
    size = max(len(ref or ""), len(hyp or ""))
    mark = "D" if hyp is None else "I" if ref is None else "" if ref == hyp else "S"
    return (
        (ref if ref is not None else "*" * size).ljust(size),
        (hyp if hyp is not None else "*" * size).ljust(size),
        mark.ljust(size),
    )
