"""Finds where phones and words begin and end on an aligned path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm.graph.lexicon import SILENCE, Pronunciation, SymbolTable


@dataclass(frozen=True)
class Segment:
    """A phone or word over the frames start to start + num_frames - 1."""

    label: str
    start: int
    num_frames: int


class Transitions(Protocol):
    """The arrays that segments need of a transition model: entries for transition ids, 0 unused."""

    @property
    def phone_of(self) -> NDArray[np.int32]:
        """Phone of each transition id [transition ids + 1]."""
        ...

    @property
    def state_of(self) -> NDArray[np.int32]:
        """Transition state of each transition id [transition ids + 1]."""
        ...

    @property
    def is_self_loop(self) -> NDArray[np.bool_]:
        """Whether a transition stays in its state [transition ids + 1]."""
        ...

    @property
    def is_final(self) -> NDArray[np.bool_]:
        """Whether a transition ends its phone [transition ids + 1]."""
        ...


def phone_spans(
    transition_ids: NDArray[np.int32], transitions: Transitions
) -> list[tuple[int, int, int]]:
    """Cut a path into its phones.

    In our graphs self-loops come before the transition that leaves their state, so that a phone
    ends with its final transition; in most of Kaldi's (reordered) graphs they follow it. A path
    cut short leaves its last phone unfinished.

    Args:
        transition_ids: the path [frames].
        transitions: the transition model.

    Returns:
        The phone id, first frame and number of frames of each phone.
    """
    loops, num_frames = transitions.is_self_loop[transition_ids], len(transition_ids)
    ends = np.flatnonzero(transitions.is_final[transition_ids]) + 1
    if _reordered(transitions.state_of[transition_ids], loops):
        # The first frame from each on that is no loop.
        leaves = np.append(np.flatnonzero(~loops), num_frames)
        ends = leaves[np.searchsorted(leaves, ends)]
    if not len(ends) or ends[-1] < num_frames:
        ends = np.append(ends, num_frames)
    starts = np.concatenate([[0], ends[:-1]])
    phones = transitions.phone_of[transition_ids[starts]]
    return list(zip(phones.tolist(), starts.tolist(), (ends - starts).tolist(), strict=True))


def _reordered(states: NDArray[np.int32], loops: NDArray[np.bool_]) -> bool:
    """Whether self-loops come last in their states [frames], by the first change of state."""
    changes = np.flatnonzero(states[1:] != states[:-1])
    telling = changes[loops[changes] | loops[changes + 1]]
    if len(telling):
        return bool(loops[telling[0]])
    return len(loops) > 0 and bool(loops[-1] and not loops[0])


def phone_segments(
    transition_ids: NDArray[np.int32], transitions: Transitions, phones: SymbolTable
) -> list[Segment]:
    """Cut a path into its phones, by name; see `phone_spans`."""
    spans = phone_spans(transition_ids, transitions)
    return [Segment(phones.symbols[phone], start, num_frames) for phone, start, num_frames in spans]


def word_segments(
    phones: Sequence[Segment],
    words: Sequence[str],
    pronunciations: Mapping[str, Sequence[Pronunciation]],
    pauses: Sequence[Pronunciation] = ((SILENCE,),),
) -> list[Segment] | None:
    """Find the words in a sequence of phones.

    Args:
        phones: the phones of a path.
        words: the words that were said.
        pronunciations: pronunciations by word.
        pauses: pronunciations that may stand between words.

    Returns:
        One segment a word, or None when the phones are not those of the words (a path that the
        search could not finish).
    """
    labels = [segment.label for segment in phones]
    # Each stack entry: the next word, the next phone, and the (first, end) phones so far.
    stack: list[tuple[int, int, tuple[tuple[int, int], ...]]] = [(0, 0, ())]
    visited: set[tuple[int, int]] = set()
    while stack:
        word, position, spans = stack.pop()
        if word == len(words) and position == len(labels):
            return [
                _join(label, phones, first, end)
                for label, (first, end) in zip(words, spans, strict=True)
            ]
        if (word, position) in visited:
            continue
        visited.add((word, position))
        for pause in pauses:
            if position < len(labels) and _matches(labels, position, pause):
                stack.append((word, position + len(pause), spans))
        if word < len(words):
            for variant in pronunciations.get(words[word], ()):
                end = position + len(variant)
                if _matches(labels, position, variant):
                    stack.append((word + 1, end, (*spans, (position, end))))
    return None


def _matches(labels: list[str], position: int, variant: Pronunciation) -> bool:
    return tuple(labels[position : position + len(variant)]) == variant


def _join(label: str, phones: Sequence[Segment], first: int, end: int) -> Segment:
    inside = phones[first:end]
    before = phones[first - 1] if first else Segment("", 0, 0)
    start = inside[0].start if inside else before.start + before.num_frames
    return Segment(label, start, sum(phone.num_frames for phone in inside))


def ctm_lines(utterance: str, segments: Sequence[Segment], frame_shift: float) -> str:
    """Write segments in NIST's ctm form, `utterance channel start duration label`.

    Args:
        utterance: the utterance's name.
        segments: words or phones.
        frame_shift: time between frames in seconds.

    Returns:
        The lines, with their ends.
    """
    return "".join(
        f"{utterance} 1 {s.start * frame_shift:.3f} {s.num_frames * frame_shift:.3f} {s.label}\n"
        for s in segments
    )
