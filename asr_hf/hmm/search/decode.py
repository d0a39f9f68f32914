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
from asr_hf.hmm.search.rescore import Setting, best_paths
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
        acoustic_scale: weight of the acoustic scores in both; settings are tried on what is kept.
        max_active: most states kept a frame where no path reaches the end, and the best of the
            partial ones is wanted.
    """

    beam: float = 18.0
    lattice_beam: float = 12.0
    acoustic_scale: float = 0.2
    max_active: int = 7000


@dataclass(frozen=True)
class Job:
    """One utterance to decode: its name, language, and scores [frames, pdfs]."""

    utterance: str
    language: str
    log_likelihoods: Scores


class Decoder:
    """Finds the best words for score matrices, under many settings at once.

    One search keeps every path near the best in a lattice, which is then scored anew under each
    setting. Where no path reaches the end of the utterance, a search for each setting gives the
    best of the partial ones, as Kaldi does.

    Args:
        transitions: the transition model the graph was made with.
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
        self, log_likelihoods: Scores, settings: Sequence[Setting], utterance: str
    ) -> list[BestPath]:
        """The best path under each setting for scores [frames, pdfs].

        Raises:
            AlignmentError: the scores are of the wrong shape or not finite.
            RunError: the search lost every path.
        """
        scale = self._options.acoustic_scale
        try:
            lattice = self._lattices.decode(log_likelihoods, scale, utterance)
        except NoPathError:
            return [self._partial(log_likelihoods, one, utterance) for one in settings]
        return best_paths(lattice, settings)

    def _partial(self, log_likelihoods: Scores, setting: Setting, utterance: str) -> BestPath:
        # The search knows no scale of the graph: the others are divided by it.
        lm = setting.lm_scale
        graph = fsts.add_word_penalty(self._graph, setting.insertion_penalty / lm, self._words)
        options = self._options
        search = BestPathDecoder(self._transitions, graph, options.beam, options.max_active)
        path = search.decode(log_likelihoods, setting.acoustic_scale / lm, utterance)
        return replace(path, score=path.score * lm)


@dataclass(frozen=True)
class DecoderSource:
    """What a worker process needs to make the decoders: plain values and file names.

    Attributes:
        columns: the pdf of each transition id of the graphs.
        graphs: the file and the largest word id of each language's graph.
        options: width of the search.
    """

    columns: PdfColumns
    graphs: Mapping[str, tuple[Path, int]]
    options: SearchOptions

    def decoders(self) -> dict[str, Decoder]:
        """One decoder a language."""
        most = len(self.columns.pdf_of) - 1
        return {
            language: Decoder(
                self.columns, fsts.read(path, Labels(most, words)), words, self.options
            )
            for language, (path, words) in self.graphs.items()
        }


def decode_all(
    source: DecoderSource, jobs: Iterable[Job], settings: Sequence[Setting], processes: int
) -> Iterator[list[BestPath]]:
    """Decode utterances under every setting, in order.

    Kaldi's decoders hold Python's lock, so that only processes run side by side.

    Yields:
        One path a setting, for each utterance.
    """
    with worker_pool(DECODING, (source, list(settings)), processes, "decoding") as workers:
        yield from workers.map(_Decoders.decode, jobs)


class _Decoders:
    """Decodes utterances under every setting, on one worker."""

    def __init__(self, made_of: tuple[DecoderSource, list[Setting]]) -> None:
        source, self._settings = made_of
        self._decoders = source.decoders()

    def decode(self, job: Job) -> list[BestPath]:
        """One path a setting."""
        decoder = self._decoders[job.language]
        return decoder.decode(job.log_likelihoods, self._settings, job.utterance)


DECODING = Task(
    "decoding",
    _Decoders,
    (_Decoders.decode,),
    (DecoderSource, PdfColumns, SearchOptions, Setting, Job, BestPath),
)


def grid(
    scales: Sequence[float], lm_scales: Sequence[float], penalties: Sequence[float]
) -> list[Setting]:
    """Every combination; the last list goes round fastest.

    Raises:
        InputError: there is none, or a scale is not positive.
    """
    for name, values, least in (
        ("acoustic_scales", scales, 0.0),
        ("lm_scales", lm_scales, 0.0),
        ("insertion_penalties", penalties, -math.inf),
    ):
        numbers = [v for v in values if isinstance(v, int | float) and least < v < math.inf]
        if not values or len(numbers) < len(values):
            raise InputError(
                f"decode.{name}={list(values)}: no search can be weighted so",
                expected="one number or more" + (", all above 0" if least == 0 else ""),
                remedy=f"give decode.{name} such a list",
            )
    return [
        Setting(scale, penalty, lm_scale)
        for scale, lm_scale, penalty in product(scales, lm_scales, penalties)
    ]


def at_edge(best: Setting, tried: Sequence[Setting]) -> list[str]:
    """Which weights of the best setting are the least or the greatest of those tried."""
    found = []
    for name in ("acoustic_scale", "insertion_penalty", "lm_scale"):
        values = sorted({getattr(setting, name) for setting in tried})
        if len(values) > 2 and getattr(best, name) in (values[0], values[-1]):
            found.append(name)
    return found
