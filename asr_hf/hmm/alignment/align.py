"""Forced alignment of a data set, from any source of scores."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm.alignment.segments import Segment
from asr_hf.hmm.alignment.spoken_path import AlignOptions, PathFinder, Transcript
from asr_hf.hmm.graph.lexicon import UNKNOWN
from asr_hf.hmm.scores import AlignmentError
from asr_hf.hmm.system import HMM_KINDS, HmmSystem
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.skips import SkipList
from asr_hf.runtime.worker_pool import worker_pool
from asr_hf.runtime.workers import Task

log = logging.getLogger(__name__)

# Of a normal distribution: the standard deviation over the median absolute deviation.
_MAD_TO_DEVIATION = 1.4826
# Unknown words that a warning names.
_MAX_NAMED = 10


@dataclass
class AlignedSet:
    """Alignments of one data set.

    Attributes:
        pdfs: pdf ids [frames] by utterance.
        phones, words: segments by utterance.
        unknown: how often each word outside the lexicon occurred.
        fits: mean log probability of a frame on the utterance's path, with unscaled likelihoods, by
            utterance.
    """

    pdfs: dict[str, NDArray[np.int32]] = field(default_factory=dict)
    phones: dict[str, list[Segment]] = field(default_factory=dict)
    words: dict[str, list[Segment]] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)
    fits: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Unaligned:
    """One utterance to align: its scores [frames, pdfs], or the GMM's features [frames, dim]."""

    name: str
    transcript: Transcript
    matrix: NDArray[np.floating[Any]]


@dataclass(frozen=True)
class _Aligned:
    """The alignment of one utterance, as in `AlignedSet`; without pdfs, the reason for it."""

    name: str
    pdfs: NDArray[np.int32] | None = None
    phones: Sequence[Segment] = ()
    words: Sequence[Segment] = ()
    unknown: Sequence[str] = ()
    fit: float = 0.0
    reason: str = ""


class _SetAligner:
    """Aligns utterances, on one worker."""

    def __init__(self, made_of: tuple[HmmSystem, AlignOptions, bool]) -> None:
        self._finder, self._scale = PathFinder(*made_of), made_of[1].acoustic_scale

    def align(self, spoken: _Unaligned) -> _Aligned:
        """Align one utterance."""
        try:
            return self._align(spoken)
        except AlignmentError as error:
            return _Aligned(spoken.name, reason=error.problem)

    def _align(self, spoken: _Unaligned) -> _Aligned:
        graphs, name = self._finder.graphs, spoken.name
        path = self._finder.find(name, spoken.transcript, spoken.matrix)
        transition_ids = path.best.transition_ids
        return _Aligned(
            name,
            graphs.system.transitions.pdf_of[transition_ids],
            path.phones,
            path.words or [],
            graphs.words(name, spoken.transcript)[1],
            path.best.score / self._scale / max(1, len(transition_ids)),
        )


ALIGNMENT = Task(
    "alignment",
    _SetAligner,
    (_SetAligner.align,),
    (*HMM_KINDS, AlignOptions, _Unaligned, Transcript, _Aligned, Segment),
)


def align_set(
    system: HmmSystem,
    matrices: Iterable[tuple[str, NDArray[np.floating[Any]]]],
    transcripts: Mapping[str, Transcript],
    options: AlignOptions,
    skips: SkipList,
    *,
    by_gmm: bool = False,
    jobs: int = 1,
) -> AlignedSet:
    """Align every utterance that has scores or features.

    Args:
        system: the HMM system.
        matrices: utterances and their log likelihoods [frames, pdfs]; with `by_gmm` their features
            [frames, dim], which the system's mixtures score.
        transcripts: the transcript of every utterance.
        options: settings of the alignment.
        skips: receives the utterances that cannot be aligned.
        by_gmm: whether the mixtures score.
        jobs: number of processes; the result does not depend on it.

    Returns:
        The alignments of all utterances that were not skipped.

    Raises:
        InputError: an utterance has no transcript.
    """
    aligned = AlignedSet()
    with worker_pool(ALIGNMENT, (system, options, by_gmm), jobs, "alignment") as workers:
        for result in workers.map(_SetAligner.align, _spoken(matrices, transcripts)):
            if result.pdfs is None:
                skips.add(result.name, result.reason)
                continue
            for word in result.unknown:
                aligned.unknown[word] = aligned.unknown.get(word, 0) + 1
            aligned.pdfs[result.name], aligned.fits[result.name] = result.pdfs, result.fit
            aligned.phones[result.name], aligned.words[result.name] = (
                list(result.phones),
                list(result.words),
            )
    if aligned.unknown:
        total = sum(aligned.unknown.values())
        often = sorted(aligned.unknown, key=lambda word: (-aligned.unknown[word], word))
        named = " ".join(often[:_MAX_NAMED]) + " ..." * (len(often) > _MAX_NAMED)
        log.warning("%d words outside the lexicon became %s: %s", total, UNKNOWN, named)
    return aligned


def fit_outliers(fits: Mapping[str, float]) -> list[str]:
    """Find utterances that fit their transcripts far worse than the others do.

    An utterance counts when its fit lies more than three standard deviations below the median;
    the deviation is estimated from the median absolute deviation. Many such utterances have
    another recording's transcript.

    Args:
        fits: mean log probability of a frame by utterance, as in `AlignedSet`.

    Returns:
        The names of these utterances, the worst first.
    """
    if not fits:
        return []
    values = np.array(list(fits.values()))
    middle = np.median(values)
    limit = middle - 3 * _MAD_TO_DEVIATION * np.median(np.abs(values - middle))
    return sorted((name for name, fit in fits.items() if fit < limit), key=fits.__getitem__)


def _spoken(
    matrices: Iterable[tuple[str, NDArray[np.floating[Any]]]], transcripts: Mapping[str, Transcript]
) -> Iterator[_Unaligned]:
    for name, matrix in matrices:
        if name not in transcripts:
            raise InputError(f"{name}: scores without a transcript", remedy="add it to text")
        yield _Unaligned(name, transcripts[name], matrix)
