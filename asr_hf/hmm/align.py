"""Forced alignment of a data set, from any source of scores."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm.fst import Fst
from asr_hf.hmm.graphs import TrainingGraphs
from asr_hf.hmm.lexicon import SILENCE, UNKNOWN, map_unknown
from asr_hf.hmm.scores import AlignmentError, Scores
from asr_hf.hmm.search import align
from asr_hf.hmm.segments import Segment, phone_segments, word_segments
from asr_hf.hmm.system import HmmSystem
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.skips import SkipList

log = logging.getLogger(__name__)


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


@dataclass
class AlignedSet:
    """Alignments of one data set.

    Attributes:
        pdfs: pdf ids [frames] of each utterance.
        phones, words: their segments.
        unknown: how often each word outside the lexicon was met.
    """

    pdfs: dict[str, NDArray[np.int32]] = field(default_factory=dict)
    phones: dict[str, list[Segment]] = field(default_factory=dict)
    words: dict[str, list[Segment]] = field(default_factory=dict)
    unknown: dict[str, int] = field(default_factory=dict)


class TranscriptGraphs:
    """Training graphs of transcripts, each with its own language's lexicon."""

    def __init__(self, system: HmmSystem) -> None:
        self.system = system
        self._compilers = {
            name: TrainingGraphs(system.transitions, language.lexicon_fst())
            for name, language in system.languages.items()
        }

    def words(self, utterance: str, transcript: Transcript) -> tuple[list[str], list[str]]:
        """The words to align, unknown ones replaced by `<unk>`; and the unknown ones.

        Raises:
            AlignmentError: there is such a word, and no model for unknown words.
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
        """The training graph of one utterance.

        Raises:
            AlignmentError: its transcript is empty, or has a word that nothing stands for.
        """
        words, _ = self.words(utterance, transcript)
        language = self.system.language(transcript.language, utterance)
        return self._compilers[language.name].compile(language.words.ids(words), utterance)

    def first_phones(self, utterance: str, transcript: Transcript) -> list[int]:
        """Phone ids of an utterance, first pronunciations, with silence at both ends."""
        language = self.system.language(transcript.language, utterance)
        words, _ = self.words(utterance, transcript)
        names = [p for word in words for p in language.lexicon.pronunciations[word][0]]
        return self.system.phones.ids([SILENCE, *names, SILENCE])


def align_set(
    graphs: TranscriptGraphs,
    scores: Iterable[tuple[str, Scores]],
    transcripts: Mapping[str, Transcript],
    options: AlignOptions,
    skips: SkipList,
) -> AlignedSet:
    """Align every utterance that has scores.

    Args:
        graphs: compiler of training graphs.
        scores: utterances and their log likelihoods [frames, pdfs], from GMM or network.
        transcripts: of every utterance.
        options: settings.
        skips: receives the utterances that cannot be aligned.

    Raises:
        InputError: an utterance has no transcript.
    """
    system, aligned = graphs.system, AlignedSet()
    for utterance, log_likelihoods in scores:
        if utterance not in transcripts:
            raise InputError(f"{utterance}: scores without a transcript", remedy="add it to text")
        transcript = transcripts[utterance]
        try:
            path = align(
                system.transitions,
                graphs.graph(utterance, transcript),
                log_likelihoods,
                utterance,
                acoustic_scale=options.acoustic_scale,
                beams=(options.beam, options.retry_beam),
            )
        except AlignmentError as error:
            skips.add(utterance, error.problem)
            continue
        for word in graphs.words(utterance, transcript)[1]:
            aligned.unknown[word] = aligned.unknown.get(word, 0) + 1
        language = system.language(transcript.language, utterance)
        words = [language.words.symbols[word] for word in path.words]
        aligned.pdfs[utterance] = system.transitions.pdf_of[path.transition_ids]
        aligned.phones[utterance] = phone_segments(
            path.transition_ids, system.transitions, system.phones
        )
        found = word_segments(aligned.phones[utterance], words, language.lexicon)
        aligned.words[utterance] = found or []
    if aligned.unknown:
        total = sum(aligned.unknown.values())
        log.warning("%d words outside the lexicon became %s", total, UNKNOWN)
    return aligned
