"""Finds when words and phones of a data set begin and end, from any source of scores."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.times import Boundary, TimedPhone, TimedWord
from asr_hf.hmm.alignment.boundaries import (
    Spread,
    either,
    phone_boundaries,
    quantiles,
    within,
)
from asr_hf.hmm.alignment.boundary_graph import boundary_graph
from asr_hf.hmm.alignment.segments import Segment
from asr_hf.hmm.alignment.spoken_path import AlignOptions, PathFinder, Transcript
from asr_hf.hmm.graph import fst as fsts
from asr_hf.hmm.graph.lexicon import SILENCE
from asr_hf.hmm.scores import AlignmentError
from asr_hf.hmm.search.search import with_transition_probs
from asr_hf.hmm.system import HMM_KINDS, HmmSystem
from asr_hf.runtime.skips import SkipList
from asr_hf.runtime.worker_pool import worker_pool
from asr_hf.runtime.workers import Task

# Shares of a boundary's probability before the begin, the middle and the end of its interval.
_SHARES = (0.05, 0.5, 0.95)
# So much later than in truth boundaries of HMMs lie, whatever scores (docs/alignment.md; seconds).
_LATE = 0.01
# A boundary's confidence is its probability to lie so near (seconds).
_NEAR = 0.02


@dataclass(frozen=True)
class FrameTimes:
    """Where frames lie in time.

    Args:
        shift: time between frames (seconds).
        window: length of a frame's window (seconds).
    """

    shift: float
    window: float

    def of(self, places: NDArray[np.float64], frames: int) -> NDArray[np.float64]:
        """Return the times (seconds) of boundaries that lie before frames.

        A boundary lies 10 ms before the middle between the windows on its two sides. The first
        frame begins and the last one ends with the utterance.

        Args:
            places: frames that the boundaries lie before.
            frames: number of frames of the utterance.
        """
        inner = np.asarray([1.0, max(1, frames - 1)])
        times = (inner - 0.5) * self.shift + 0.5 * self.window - _LATE
        whole = (frames - 1) * self.shift + self.window
        corners = [0.0, *times.clip(0.0), whole]
        found: NDArray[np.float64] = np.interp(places, [0.0, *inner, frames], corners)
        return found


@dataclass(frozen=True)
class TimesOptions:
    """How times are found.

    Args:
        align: settings of the search for the pronunciations that are spoken.
        scale: factor on scores, by which intervals hold as many boundaries as they promise.
        frames: where frames lie in time.
    """

    align: AlignOptions
    scale: float
    frames: FrameTimes


@dataclass(frozen=True)
class SpokenPhone:
    """A phone on the best path and the probabilities of its boundaries.

    Args:
        segment: its frames on the best path.
        begin, end: probabilities of its boundaries.
    """

    segment: Segment
    begin: Spread
    end: Spread


class Timer:
    """Finds the boundaries of utterances.

    Args:
        system: HMM system.
        options: settings of the search for the pronunciations.
        scale: factor on scores.
        by_gmm: whether the system's mixtures score.
    """

    def __init__(
        self, system: HmmSystem, options: AlignOptions, scale: float, by_gmm: bool
    ) -> None:
        self._finder, self._scale = PathFinder(system, options, by_gmm), scale
        self._pauses = (system.phones.id(SILENCE),)

    def words(
        self, utterance: str, transcript: Transcript, matrix: NDArray[np.floating[Any]]
    ) -> list[tuple[str, list[SpokenPhone]]]:
        """Return the words of an utterance with the probabilities of all boundaries.

        The best path says which pronunciations are spoken and where there are pauses. Where it has
        none, the end of one phone and the begin of the next are one boundary: either of the two,
        as they lie on paths with a pause.

        Args:
            utterance: name of the utterance.
            transcript: its words.
            matrix: log likelihoods [frames, pdfs], or the GMM's features [frames, dim].

        Raises:
            AlignmentError: no path leads through the transcript.
        """
        system = self._finder.graphs.system
        path = self._finder.find(utterance, transcript, matrix)
        spoken = [segment for segment in path.phones if segment.label != SILENCE]
        paths = boundary_graph(
            fsts.arrays(with_transition_probs(system.transitions, path.graph)),
            system.transitions,
            system.phones.ids(segment.label for segment in spoken),
            self._pauses,
        )
        words = path.words
        if not spoken or paths is None or words is None:
            raise AlignmentError(
                f"{utterance}: the best path does not say its words",
                expected="a path through the whole transcript",
                remedy="raise alignment.retry_beam",
            )
        pdf_of = system.transitions.pdf_of
        found = phone_boundaries(paths, path.scores, pdf_of, self._scale, utterance)
        begins, ends = _joined(spoken, found.begins, found.ends)
        phones = [SpokenPhone(*parts) for parts in zip(spoken, begins, ends, strict=True)]
        starts = [segment.start for segment in spoken]
        return [
            (label, phones[bisect_left(starts, word.start) : bisect_left(starts, end)])
            for label, word in zip(transcript.words, words, strict=True)
            for end in [word.start + word.num_frames]
        ]


def _joined(
    spoken: Sequence[Segment], begins: list[Spread], ends: list[Spread]
) -> tuple[list[Spread], list[Spread]]:
    """Make one boundary of two where the best path has no pause between phones, or hardly any."""
    begins, ends = list(begins), list(ends)
    for number in range(len(spoken) - 1):
        (end,), (begin,) = (quantiles(s, (0.5,)) for s in (ends[number], begins[number + 1]))
        paused = spoken[number].start + spoken[number].num_frames < spoken[number + 1].start
        if not paused or begin - end < 1:
            both = either(ends[number], begins[number + 1])
            ends[number] = begins[number + 1] = both
    return begins, ends


@dataclass(frozen=True)
class _Untimed:
    """One utterance: its scores [frames, pdfs], or the GMM's features [frames, dim]."""

    name: str
    transcript: Transcript
    matrix: NDArray[np.floating[Any]]


@dataclass(frozen=True)
class _Timed:
    """The words of an utterance in its own time; without words, the reason for it."""

    name: str
    words: tuple[TimedWord, ...] = ()
    reason: str = ""


class _SetTimer:
    """Finds the times of utterances, on one worker."""

    def __init__(self, made_of: tuple[HmmSystem, TimesOptions, bool]) -> None:
        system, self._options, by_gmm = made_of
        self._timer = Timer(system, self._options.align, self._options.scale, by_gmm)

    def time(self, untimed: _Untimed) -> _Timed:
        """Find the times of one utterance."""
        name, matrix = untimed.name, untimed.matrix
        try:
            words = self._timer.words(name, untimed.transcript, matrix)
        except AlignmentError as error:
            return _Timed(name, reason=error.problem)
        frames = len(matrix)
        return _Timed(
            name,
            tuple(
                TimedWord(label, tuple(self._phone(phone, frames) for phone in phones))
                for label, phones in words
                if phones
            ),
        )

    def _phone(self, phone: SpokenPhone, frames: int) -> TimedPhone:
        begin, end = (self._boundary(spread, frames) for spread in (phone.begin, phone.end))
        return TimedPhone(phone.segment.label, begin, end)

    def _boundary(self, spread: Spread, frames: int) -> Boundary:
        clock = self._options.frames
        low, middle, high = places = quantiles(spread, _SHARES)
        near = _NEAR / clock.shift
        confidence = within(spread, middle - near, middle + near)
        low, middle, high = clock.of(places, frames).tolist()
        return Boundary(middle, low, high, confidence)


TIMING = Task(
    "times",
    _SetTimer,
    (_SetTimer.time,),
    (
        *(*HMM_KINDS, AlignOptions, TimesOptions, FrameTimes, Transcript),
        *(_Untimed, _Timed, TimedWord, TimedPhone, Boundary),
    ),
)


def time_set(
    system: HmmSystem,
    matrices: Iterable[tuple[str, NDArray[np.floating[Any]]]],
    transcripts: Mapping[str, Transcript],
    options: TimesOptions,
    skips: SkipList,
    *,
    by_gmm: bool = False,
    jobs: int = 1,
) -> Iterator[tuple[str, tuple[TimedWord, ...]]]:
    """Find the times of the words of every utterance that has scores or features.

    Args:
        system: HMM system.
        matrices: utterances and their log likelihoods [frames, pdfs]; with `by_gmm` their features
            [frames, dim], which the system's mixtures score.
        transcripts: transcript of every utterance.
        options: how times are found.
        skips: receives the utterances whose words cannot be found.
        by_gmm: whether the mixtures score.
        jobs: number of processes; the result does not depend on it.

    Yields:
        Each utterance that was not skipped, and its words in its own time (seconds).
    """
    untimed = (_Untimed(name, transcripts[name], matrix) for name, matrix in matrices)
    with worker_pool(TIMING, (system, options, by_gmm), jobs, "finding times") as workers:
        for found in workers.map(_SetTimer.time, untimed):
            if found.reason:
                skips.add(found.name, found.reason)
            else:
                yield found.name, found.words
