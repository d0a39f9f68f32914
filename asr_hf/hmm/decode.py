"""Decoding score matrices into words, and choosing the decoding weights on a development set."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr_hf.hmm import fst as fsts
from asr_hf.hmm.adapter import BestPath, BestPathDecoder, Scores, TransitionModel
from asr_hf.hmm.fst import Fst


@dataclass(frozen=True, order=True)
class Setting:
    """Weights of the search.

    Attributes:
        acoustic_scale: factor on the log likelihoods.
        insertion_penalty: added to the cost of each word, natural logarithm.
    """

    acoustic_scale: float
    insertion_penalty: float = 0.0


@dataclass(frozen=True)
class SearchOptions:
    """Width of the search: log-probability beam, and the most states kept a frame."""

    beam: float = 13.0
    max_active: int = 7000


@dataclass(frozen=True)
class Job:
    """One utterance to decode: its name, language, and scores [frames, pdfs]."""

    utterance: str
    language: str
    log_likelihoods: Scores


class Decoder:
    """Finds the best words for score matrices, under any setting.

    The penalty of a word is built into a copy of the graph, one a penalty, so that the search
    is exact for every setting; a decoding takes milliseconds for a vocabulary of hundreds.

    Args:
        transitions: the transition model the graph was made with.
        graph: a decoding graph.
        words: the largest word id.
        options: width of the search.
    """

    def __init__(
        self, transitions: TransitionModel, graph: Fst, words: int, options: SearchOptions
    ) -> None:
        self._transitions = transitions
        self._graph = graph
        self._words = words
        self._options = options
        self._searches: dict[float, BestPathDecoder] = {}

    def decode(self, log_likelihoods: Scores, setting: Setting, utterance: str) -> BestPath:
        """The best path for scores [frames, pdfs].

        Raises:
            AlignmentError: the scores are of the wrong shape or not finite.
            RunError: the search lost every path.
        """
        search = self._search(setting.insertion_penalty)
        return search.decode(log_likelihoods, setting.acoustic_scale, utterance)

    def _search(self, penalty: float) -> BestPathDecoder:
        if penalty not in self._searches:
            graph = fsts.add_word_penalty(self._graph, penalty, self._words)
            options = self._options
            self._searches[penalty] = BestPathDecoder(
                self._transitions, graph, options.beam, options.max_active
            )
        return self._searches[penalty]


@dataclass(frozen=True)
class DecoderSource:
    """What a worker process needs to make the decoders: plain values and file names.

    Attributes:
        topology, log_probs: of the transition model.
        graphs: the file and the largest word id of each language's graph.
        options: width of the search.
    """

    topology: str
    log_probs: tuple[float, ...]
    graphs: Mapping[str, tuple[Path, int]]
    options: SearchOptions

    def decoders(self) -> dict[str, Decoder]:
        """One decoder a language."""
        transitions = TransitionModel(self.topology, np.asarray(self.log_probs, np.float32))
        return {
            language: Decoder(transitions, fsts.read(path), words, self.options)
            for language, (path, words) in self.graphs.items()
        }


_worker: dict[str, Decoder] = {}


def _start_worker(source: DecoderSource) -> None:
    _worker.update(source.decoders())


def _decode_in_worker(job: Job, settings: Sequence[Setting]) -> list[BestPath]:
    return _decode(_worker, job, settings)


def _decode(
    decoders: Mapping[str, Decoder], job: Job, settings: Sequence[Setting]
) -> list[BestPath]:
    decoder = decoders[job.language]
    return [decoder.decode(job.log_likelihoods, s, job.utterance) for s in settings]


def decode_all(
    source: DecoderSource, jobs: Iterable[Job], settings: Sequence[Setting], processes: int
) -> Iterator[list[BestPath]]:
    """Decode utterances under every setting, in order.

    Kaldi's decoders hold Python's lock, so that only processes run side by side.

    Yields:
        One path a setting, for each utterance.
    """
    if processes <= 1:
        decoders = source.decoders()
        for job in jobs:
            yield _decode(decoders, job, settings)
        return
    context = multiprocessing.get_context("spawn")
    waiting: deque[Future[list[BestPath]]] = deque()
    with ProcessPoolExecutor(processes, context, _start_worker, (source,)) as pool:
        for job in jobs:
            waiting.append(pool.submit(_decode_in_worker, job, settings))
            # Few at a time: the scores of a whole set may not fit in memory.
            if len(waiting) > 4 * processes:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def tune(
    scales: Sequence[float],
    penalties: Sequence[float],
    errors: Callable[[list[Setting]], list[int]],
) -> tuple[Setting, dict[Setting, int]]:
    """Choose the setting with the fewest errors: the scale first, then the penalty.

    The scale is chosen under the first penalty, the penalty under that scale; of equals the
    earlier in its list wins.

    Args:
        scales: acoustic scales to try.
        penalties: insertion penalties to try.
        errors: word errors on the development set under each of some settings.

    Returns:
        The best setting, and the errors of every setting tried.
    """
    first = [Setting(scale, penalties[0]) for scale in scales]
    tried = dict(zip(first, errors(first), strict=True))
    scale = min(first, key=tried.__getitem__).acoustic_scale
    second = [Setting(scale, penalty) for penalty in penalties[1:]]
    if second:
        tried.update(zip(second, errors(second), strict=True))
    best = min([Setting(scale, penalties[0]), *second], key=tried.__getitem__)
    return best, tried
