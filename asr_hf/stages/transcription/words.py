"""Puts the words of a stretch, their times and their confidences together."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from asr_hf.hmm.alignment.segments import Segment
from asr_hf.hmm.search.confidence import ConfidentPath
from asr_hf.scoring.transcription import SpokenWord


def spoken_words(
    words: Sequence[str],
    segments: Sequence[Segment],
    best: ConfidentPath,
    num_frames: int,
    start: float,
    shift: float,
) -> list[SpokenWord]:
    """Put words, times and confidences of a stretch together.

    Args:
        words: the words.
        segments: their frames; none where a path was cut short, and they are not known. The frames
            of the words' labels stand in for them then.
        best: the path that the words are of.
        num_frames: number of frames of the stretch.
        start: where the stretch begins in the recording (seconds).
        shift: time between two frames (seconds).

    Returns:
        The words.
    """
    spans = [(s.start, s.start + s.num_frames) for s in segments]
    if not spans:
        spans = list(pairwise([*best.frames, num_frames]))
    return [
        SpokenWord(word, start + shift * first, start + shift * end, confidence)
        for word, (first, end), confidence in zip(words, spans, best.confidences, strict=True)
    ]
