"""Finds the best path of an utterance through its transcript, from any source of scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm.alignment.segments import Segment, phone_segments, word_segments
from asr_hf.hmm.graph.fst import Fst
from asr_hf.hmm.graph.graphs import TrainingGraphs
from asr_hf.hmm.graph.lexicon import SILENCE, UNKNOWN, map_unknown
from asr_hf.hmm.scores import AlignmentError
from asr_hf.hmm.search.search import BestPath, align
from asr_hf.hmm.system import HmmSystem


@dataclass(frozen=True)
class Transcript:
    """The words of an utterance and their language."""

    words: Sequence[str]
    language: str


@dataclass(frozen=True)
class AlignOptions:
    """Settings of forced alignment: weight of the scores, beams of the first and second try."""

    acoustic_scale: float = 0.1
    beam: float = 10.0
    retry_beam: float = 40.0


class TranscriptGraphs:
    """Makes training graphs of transcripts, each with its own language's lexicon."""

    def __init__(self, system: HmmSystem) -> None:
        self.system = system

    @cached_property
    def _compilers(self) -> dict[str, TrainingGraphs]:
        return {
            name: TrainingGraphs(self.system.transitions, language.lexicon_fst())
            for name, language in self.system.languages.items()
        }

    def words(self, utterance: str, transcript: Transcript) -> tuple[list[str], list[str]]:
        """Replace the unknown words of a transcript by `<unk>`.

        Returns:
            The words to align, and the unknown words.

        Raises:
            AlignmentError: a word is unknown, and the lexicon has no `<unk>`.
        """
        language = self.system.language(transcript.language, utterance)
        words, unknown = map_unknown(transcript.words, language.lexicon)
        if unknown and UNKNOWN not in language.lexicon:
            raise AlignmentError(
                f"{utterance}: the word {unknown[0]!r} is not in the lexicon of {language.name}",
                expected="known words: no training transcript had an unknown one to learn from",
                remedy=f"add {unknown[0]!r} to lang/{language.name}/lexicon.txt",
            )
        return words, unknown

    def graph(self, utterance: str, transcript: Transcript) -> Fst:
        """Make the training graph of one utterance.

        Returns:
            The graph, without transition probabilities.

        Raises:
            AlignmentError: the transcript is empty, or has an unknown word and there is no `<unk>`.
        """
        words, _ = self.words(utterance, transcript)
        language = self.system.language(transcript.language, utterance)
        return self._compilers[language.name].compile(language.words.ids(words), utterance)

    def first_phones(self, utterance: str, transcript: Transcript) -> list[int]:
        """List the phone ids of an utterance: first pronunciations, with silence at both ends."""
        language = self.system.language(transcript.language, utterance)
        words, _ = self.words(utterance, transcript)
        names = [p for word in words for p in language.lexicon.pronunciations[word][0]]
        return self.system.phones.ids([SILENCE, *names, SILENCE])


@dataclass(frozen=True)
class SpokenPath:
    """The best path of an utterance through its transcript.

    Attributes:
        graph: training graph of the transcript.
        scores: log likelihoods [frames, pdfs]; those of pdfs outside the graph may be missing.
        best: the path.
        phones: segments of its phones.
        words: segments of its words; None where the phones are not theirs.
    """

    graph: Fst
    scores: NDArray[np.floating[Any]]
    best: BestPath
    phones: list[Segment]
    words: list[Segment] | None


class PathFinder:
    """Finds the best path of utterances.

    Args:
        system: the HMM system.
        options: settings of the alignment.
        by_gmm: whether the system's mixtures score.
    """

    def __init__(self, system: HmmSystem, options: AlignOptions, by_gmm: bool) -> None:
        self.graphs, self._options = TranscriptGraphs(system), options
        self._scorer = system.gmm.scorer() if by_gmm and system.gmm else None

    def find(
        self, utterance: str, transcript: Transcript, matrix: NDArray[np.floating[Any]]
    ) -> SpokenPath:
        """Find the best path of an utterance.

        Args:
            utterance: name of the utterance.
            transcript: its words.
            matrix: log likelihoods [frames, pdfs], or the GMM's features [frames, dim].

        Returns:
            The path.

        Raises:
            AlignmentError: no path leads through the transcript.
        """
        system, options = self.graphs.system, self._options
        transitions, graph = system.transitions, self.graphs.graph(utterance, transcript)
        if self._scorer is not None:
            # No other pdf can be on the path.
            matrix = self._scorer.log_likelihoods(matrix, transitions.pdfs_in(graph))
        beams = options.beam, options.retry_beam
        best = align(
            *(transitions, graph, matrix, utterance),
            acoustic_scale=options.acoustic_scale,
            beams=beams,
        )
        language = system.language(transcript.language, utterance)
        words = [language.words.symbols[word] for word in best.words]
        phones = phone_segments(best.transition_ids, transitions, system.phones)
        spoken = word_segments(phones, words, language.lexicon.pronunciations)
        return SpokenPath(graph, matrix, best, phones, spoken)
