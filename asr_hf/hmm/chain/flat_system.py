"""HMMs of lattice-free MMI from lexicons and transcripts alone (Hadian et al. 2018)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from asr_hf.hmm.alignment.spoken_path import Transcript, TranscriptGraphs
from asr_hf.hmm.chain.spoken_phones import Pauses, SpokenPhones, pair_counts
from asr_hf.hmm.graph.lexicon import SILENCE, SILENCE_PHONES, Lexicon
from asr_hf.hmm.graph.transitions import TransitionModel
from asr_hf.hmm.scores import AlignmentError
from asr_hf.hmm.system import HmmSystem
from asr_hf.hmm.tree.sampled_states import CHAIN
from asr_hf.hmm.tree.untied import FlatContext, untied_tree


@dataclass(frozen=True)
class FlatOptions:
    """Settings of a flat start.

    Attributes:
        context: what the pdfs of a phone depend on.
        least_count: how often a phone must follow another one to have pdfs of its own there.
        pause_between: probability of a pause between two words.
        pause_at_ends: probability of one before the first word, and of one behind the last.
    """

    context: FlatContext
    least_count: float
    pause_between: float
    pause_at_ends: float


class TranscriptPhones:
    """Looks up the phones of transcripts.

    Args:
        system: HMM system with the lexicons.
        options: settings.
    """

    def __init__(self, system: HmmSystem, options: FlatOptions) -> None:
        self._system, self._transcripts = system, TranscriptGraphs(system)
        silence = system.phones.id(SILENCE)
        self._pauses = Pauses(silence, options.pause_between, options.pause_at_ends)

    def of(self, utterance: str, transcript: Transcript) -> SpokenPhones:
        """Return all that a transcript may be spoken as.

        Raises:
            AlignmentError: it has no words, or an unknown one, and there is no `<unk>`.
        """
        words, _ = self._transcripts.words(utterance, transcript)
        if not words:
            raise AlignmentError(f"{utterance}: no words", expected="a transcript of one or more")
        lexicon = self._system.language(transcript.language, utterance).lexicon.pronunciations
        phones = self._system.phones
        return SpokenPhones.of([[phones.ids(p) for p in lexicon[w]] for w in words], self._pauses)

    def known(self, transcripts: Mapping[str, Transcript]) -> Iterator[SpokenPhones]:
        """Yield the phones of the transcripts that have some."""
        for utterance, transcript in transcripts.items():
            try:
                yield self.of(utterance, transcript)
            except AlignmentError:
                continue  # their numerators are counted among the skipped


def flat_system(
    lexicons: Iterable[Lexicon],
    transcripts: Mapping[str, Transcript],
    options: FlatOptions,
    every: int,
) -> HmmSystem:
    """Make HMMs that emit every k-th frame, their states tied by no measurement.

    Args:
        lexicons: lexicon of each language.
        transcripts: transcripts of the training set.
        options: settings.
        every: k.

    Returns:
        The HMMs, without mixtures.
    """
    base, pairs = HmmSystem.create(lexicons), None
    if options.context is FlatContext.LEFT:
        pairs = pair_counts(TranscriptPhones(base, options).known(transcripts))
    noises = [base.phones.id(p) for p in SILENCE_PHONES if p in base.phones]
    tree = untied_tree(len(base.phones) - 1, noises, pairs, options.least_count)
    transitions = TransitionModel(CHAIN.topology(base.phones), tree=tree)
    return HmmSystem(base.phones, transitions, base.languages, subsampling=every)
