"""Decoding score matrices into words, and choosing the decoding weights on a development set."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

from asr_hf.hmm.graph import fst as fsts
from asr_hf.hmm.graph.fst import Fst
from asr_hf.hmm.graph.fst_file import Labels
from asr_hf.hmm.scores import PdfColumns, ScoreColumns, Scores
from asr_hf.hmm.search.lattice_decoder import LatticeDecoder
from asr_hf.hmm.search.raw_lattice import NoPathError
from asr_hf.hmm.search.rescore import SearchWeights, best_paths
from asr_hf.hmm.search.search import BestPath, BestPathDecoder
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.worker_pool import worker_pool
from asr_hf.runtime.workers import Task


@dataclass(frozen=True)
class SearchOptions:
    """Width of the search.

    Attributes:
        beam: log-probability width.
        lattice_beam: how far below the best path a path may lie and be kept for rescoring.
        acoustic_scale: weight of the acoustic scores in the search; other weights are tried on the
            paths it keeps.
        max_active: maximum number of states kept a frame, when no path reaches the end and the best
            partial path is searched for.
    """

    beam: float = 18.0
    lattice_beam: float = 12.0
    acoustic_scale: float = 0.2
    max_active: int = 7000


@dataclass(frozen=True)
class DecodingJob:
    """One utterance to decode: its name, language, and scores [frames, pdfs]."""

    utterance: str
    language: str
    log_likelihoods: Scores


class Decoder:
    """Finds the best words for score matrices, under many weights at once.

    One search keeps every path near the best in a lattice, which is then rescored under all
    weights. Where no path reaches the end of the utterance, one search for each of them gives the
    best partial path, as Kaldi does.

    Args:
        transitions: the transition model that the graph was made with.
        graph: a decoding graph.
        words: the largest word id.
        options: width of the search.
    """

    def __init__(
        self, transitions: ScoreColumns, graph: Fst, words: int, options: SearchOptions
    ) -> None:
        self._transitions, self._graph = transitions, graph
        self._words, self._options = words, options
        self._lattices = LatticeDecoder(transitions, graph, options.beam, options.lattice_beam)

    def decode(
        self, log_likelihoods: Scores, weights: Sequence[SearchWeights], utterance: str
    ) -> list[BestPath]:
        """Find the best path for scores [frames, pdfs] under each of the weights.

        Returns:
            One path for each of the weights, in their order.

        Raises:
            AlignmentError: the scores are of the wrong shape or not finite.
            RunError: the search lost every path.
        """
        scale = self._options.acoustic_scale
        try:
            lattice = self._lattices.decode(log_likelihoods, scale, utterance)
        except NoPathError:
            return [self._partial(log_likelihoods, weight, utterance) for weight in weights]
        return best_paths(lattice, weights)

    def _partial(self, log_likelihoods: Scores, weights: SearchWeights, utterance: str) -> BestPath:
        # The search knows no scale of the graph: the others are divided by it.
        lm = weights.lm_scale
        graph = fsts.add_word_penalty(self._graph, weights.insertion_penalty / lm, self._words)
        options = self._options
        search = BestPathDecoder(self._transitions, graph, options.beam, options.max_active)
        path = search.decode(log_likelihoods, weights.acoustic_scale / lm, utterance)
        return replace(path, score=path.score * lm)


@dataclass(frozen=True)
class DecoderSource:
    """Plain values and file names that a worker process makes its decoders from.

    Attributes:
        columns: the pdf of each transition id of the graphs.
        graphs: file and largest word id of each language's graph.
        options: width of the search.
    """

    columns: PdfColumns
    graphs: Mapping[str, tuple[Path, int]]
    options: SearchOptions

    def decoders(self) -> dict[str, Decoder]:
        """Make one decoder a language."""
        max_input = len(self.columns.pdf_of) - 1
        return {
            language: Decoder(
                self.columns, fsts.read(path, Labels(max_input, words)), words, self.options
            )
            for language, (path, words) in self.graphs.items()
        }


def decode_all(
    source: DecoderSource,
    jobs: Iterable[DecodingJob],
    weights: Sequence[SearchWeights],
    processes: int,
) -> Iterator[list[BestPath]]:
    """Decode utterances under all weights, in order.

    Kaldi's decoders hold Python's lock, so that only processes run side by side.

    Yields:
        For each utterance, one path for each of the weights.
    """
    with worker_pool(DECODING, (source, list(weights)), processes, "decoding") as workers:
        yield from workers.map(_Decoders.decode, jobs)


class _Decoders:
    """Decodes utterances under all weights, on one worker."""

    def __init__(self, made_of: tuple[DecoderSource, list[SearchWeights]]) -> None:
        source, self._weights = made_of
        self._decoders = source.decoders()

    def decode(self, job: DecodingJob) -> list[BestPath]:
        """Find one path for each of the weights."""
        decoder = self._decoders[job.language]
        return decoder.decode(job.log_likelihoods, self._weights, job.utterance)


DECODING = Task(
    "decoding",
    _Decoders,
    (_Decoders.decode,),
    (DecoderSource, PdfColumns, SearchOptions, SearchWeights, DecodingJob, BestPath),
)


def weight_grid(
    scales: Sequence[float], lm_scales: Sequence[float], penalties: Sequence[float]
) -> list[SearchWeights]:
    """Combine all values of the weights; the last list varies fastest.

    Returns:
        Every combination.

    Raises:
        InputError: a list is empty, or a scale is not positive.
    """
    for name, values, lower_bound in (
        ("acoustic_scales", scales, 0.0),
        ("lm_scales", lm_scales, 0.0),
        ("insertion_penalties", penalties, -math.inf),
    ):
        numbers = [v for v in values if isinstance(v, int | float) and lower_bound < v < math.inf]
        if not values or len(numbers) < len(values):
            raise InputError(
                f"decode.{name}={list(values)}: no search can be weighted so",
                expected="one number or more" + (", all above 0" if lower_bound == 0 else ""),
                remedy=f"give decode.{name} such a list",
            )
    return [
        SearchWeights(scale, penalty, lm_scale)
        for scale, lm_scale, penalty in product(scales, lm_scales, penalties)
    ]


def weights_at_edge(best: SearchWeights, tried: Sequence[SearchWeights]) -> list[str]:
    """Name those of the best weights that are the smallest or the largest of the values tried."""
    names = []
    for name in ("acoustic_scale", "insertion_penalty", "lm_scale"):
        values = sorted({getattr(weights, name) for weights in tried})
        if len(values) > 2 and getattr(best, name) in (values[0], values[-1]):
            names.append(name)
    return names
