"""Decoding score matrices into words with times and confidences."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from asr_hf.hmm.scores import PdfColumns
from asr_hf.hmm.search.batches import batches
from asr_hf.hmm.search.confidence import ConfidentPath, confident_path
from asr_hf.hmm.search.decode import DecoderSource, DecodingJob, SearchOptions
from asr_hf.hmm.search.rescore import SearchWeights
from asr_hf.hmm.search.search import BestPath
from asr_hf.runtime.worker_pool import worker_pool
from asr_hf.runtime.workers import Task


@dataclass(frozen=True)
class Heard:
    """What was recognised in one stretch of speech.

    Attributes:
        best: the best path, with a confidence for each word.
        frames: number of frames.
        complete: whether the path reaches the end of the graph.
        limited_frames: number of frames that had more than `max_active` states.
        narrowed: whether the lattice had more than `max_arcs_per_frame` arcs a frame.
    """

    best: ConfidentPath
    frames: int
    complete: bool
    limited_frames: int
    narrowed: bool


def hear_all(
    source: DecoderSource, jobs: Iterable[DecodingJob], weights: SearchWeights, processes: int
) -> Iterator[Heard]:
    """Recognise stretches of speech, in order.

    Args:
        source: graphs and options of the search.
        jobs: the stretches, with their scores.
        weights: decoding weights.
        processes: number of processes.

    Yields:
        What was recognised in each stretch.
    """
    with worker_pool(HEARING, (source, weights), processes, "transcription") as workers:
        for heard in workers.map(Listener.hear, batches(jobs)):
            yield from heard


class Listener:
    """Recognises stretches of speech, with the graphs in memory.

    Args:
        made_of: graphs and options of the search; decoding weights.
    """

    def __init__(self, made_of: tuple[DecoderSource, SearchWeights]) -> None:
        source, self._weights = made_of
        self._decoders = source.decoders()

    def hear(self, jobs: list[DecodingJob]) -> list[Heard]:
        """Recognise stretches of one language, all at once.

        Args:
            jobs: the stretches, with their scores.

        Returns:
            What was recognised in each.
        """
        decoder = self._decoders[jobs[0].language]
        found = decoder.lattices([(job.utterance, job.log_likelihoods) for job in jobs])
        return [
            Heard(
                confident_path(lattice, self._weights),
                len(job.log_likelihoods),
                one.complete,
                one.limited_frames,
                one.narrowed,
            )
            for job, (lattice, one) in zip(jobs, found, strict=True)
        ]


HEARING = Task(
    "transcription",
    Listener,
    (Listener.hear,),
    (
        *(DecoderSource, PdfColumns, SearchOptions, SearchWeights),
        *(DecodingJob, Heard, ConfidentPath, BestPath),
    ),
)
