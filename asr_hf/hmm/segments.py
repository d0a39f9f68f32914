"""Where phones and words begin and end on an aligned path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm.lexicon import SILENCE, Lexicon, Pronunciation, SymbolTable
from asr_hf.hmm.transitions import TransitionModel


@dataclass(frozen=True)
class Segment:
    """A phone or word over frames [start, start + frames)."""

    label: str
    start: int
    frames: int


def phone_segments(
    transition_ids: NDArray[np.int32], transitions: TransitionModel, phones: SymbolTable
) -> list[Segment]:
    """Cut a path into its phones.

    Self-loops come before the transition that leaves a state, so that a phone ends with its
    final transition; a path cut short leaves its last phone unfinished.

    Args:
        transition_ids: [frames].
        transitions: the transition model.
        phones: the phone table.
    """
    last = len(transition_ids) - 1
    ends = [int(i) for i in np.flatnonzero(transitions.is_final[transition_ids])]
    segments, start = [], 0
    for end in ends if ends and ends[-1] == last else [*ends, last]:
        label = phones.symbols[int(transitions.phone_of[transition_ids[start]])]
        segments.append(Segment(label, start, end - start + 1))
        start = end + 1
    return segments


def word_segments(
    phones: Sequence[Segment], words: Sequence[str], lexicon: Lexicon
) -> list[Segment] | None:
    """Find the words in a sequence of phones, with optional silence around each.

    Returns:
        One segment a word, or None when the phones are not those of the words (a path that the
        search could not finish).
    """
    labels = [segment.label for segment in phones]
    # Each stack entry: the next word, the next phone, and the (first, last) phones so far.
    stack: list[tuple[int, int, tuple[tuple[int, int], ...]]] = [(0, 0, ())]
    seen: set[tuple[int, int]] = set()
    while stack:
        word, position, spans = stack.pop()
        if word == len(words) and position == len(labels):
            return [
                _join(label, phones[first : last + 1])
                for label, (first, last) in zip(words, spans, strict=True)
            ]
        if (word, position) in seen:
            continue
        seen.add((word, position))
        if position < len(labels) and labels[position] == SILENCE:
            stack.append((word, position + 1, spans))
        if word < len(words):
            for variant in lexicon.pronunciations[words[word]]:
                end = position + len(variant)
                if _matches(labels, position, variant):
                    stack.append((word + 1, end, (*spans, (position, end - 1))))
    return None


def _matches(labels: list[str], position: int, variant: Pronunciation) -> bool:
    return tuple(labels[position : position + len(variant)]) == variant


def _join(label: str, phones: Sequence[Segment]) -> Segment:
    return Segment(label, phones[0].start, sum(phone.frames for phone in phones))


def ctm_lines(utterance: str, segments: Sequence[Segment], frame_shift: float) -> str:
    """Segments in NIST's ctm form, `utterance channel start duration label`.

    Args:
        utterance: its name.
        segments: words or phones.
        frame_shift: seconds between frames.
    """
    return "".join(
        f"{utterance} 1 {s.start * frame_shift:.3f} {s.frames * frame_shift:.3f} {s.label}\n"
        for s in segments
    )
