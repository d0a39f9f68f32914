"""Makes the HMM system of a corpus: monophones from a flat start, and states tied in context."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from asr_hf.data.ark import ArkReader
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.hmm.alignment.corpus import lexicons_of, train_system
from asr_hf.hmm.alignment.flat_start import FlatStartOptions
from asr_hf.hmm.alignment.spoken_path import Transcript
from asr_hf.hmm.chain.flat_system import flat_system
from asr_hf.hmm.system import HmmSystem
from asr_hf.hmm.tree.sampled import SamplingOptions, train_sampled
from asr_hf.hmm.tree.sampled_states import CHAIN, EDGES
from asr_hf.hmm.tree.triphones import TyingOptions, train_triphones
from asr_hf.hmm.tree.untied import FlatContext
from asr_hf.runtime.artefact import current, make_anew
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.provenance import Artefact, ArtefactSpec, Source
from asr_hf.runtime.skips import SkipList
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.expected import features_source
from asr_hf.stages.sources.flat import flat_options
from asr_hf.stages.sources.inherited_states import inherited_states
from asr_hf.stages.sources.layout import (
    features_folder,
    full_rate_folder,
    monophone_folder,
    subsampling,
    system_folder,
)
from asr_hf.stages.sources.transfer_alignments import clean_system

log = logging.getLogger(__name__)

_KIND, _LIMIT = "HMM system", "alignment.max_skipped"


@dataclass(frozen=True)
class CorpusHmms:
    """The HMMs of a corpus.

    Args:
        system: the system whose states a network has, with graphs to decode with.
        mixtures: the system that has mixtures, and emits every frame; None in a corpus of copies.
        source: source that identifies `system`.
    """

    system: HmmSystem
    mixtures: HmmSystem | None
    source: Source

    def scored_at(self, rate: int) -> HmmSystem:
        """Return the HMMs whose states have the scores of every frame, or of every k-th one.

        Args:
            rate: 1 for those of every frame, k for others.

        Returns:
            The HMMs.

        Raises:
            InputError: there are none at this rate.
        """
        if rate == self.system.subsampling:
            return self.system
        if rate == 1 and self.mixtures is not None:
            return self.mixtures
        raise InputError(
            f"the states of this corpus are for model.subsampling={self.system.subsampling}, and "
            f"the scores to align with for {rate}",
            expected="one and the same",
            remedy=f"model.subsampling={rate}, or another run in alignment.from_run",
        )


def corpus_hmms(
    settings: Settings,
    data: dict[str, DataDir],
    transcripts: dict[str, dict[str, Transcript]],
) -> CorpusHmms:
    """Train the HMM system, or load the one that is current.

    The HMM system of a corpus of copies is that of its clean corpus. With `alignment.states_from`
    it has the states of another corpus's, and with `alignment.flat` states that need no audio. With
    `model.subsampling`, HMMs that emit every k-th frame are made from those that emit every one.

    Args:
        settings: settings of the command.
        data: data directory of each set of the corpus.
        transcripts: transcripts of each set, by utterance.

    Returns:
        The HMMs.

    Raises:
        InputError: data are missing, or too many utterances cannot be aligned.
    """
    if settings.corpus.clean is not None:
        system, clean = clean_system(settings)
        carried = ArtefactSpec(_KIND, {}, {"clean system": clean})
        system, known = _kept(system_folder(settings), carried, lambda: system)
        return CorpusHmms(system, None, known.source)
    name = settings.corpus.train_set
    train, train_transcripts = data[name], transcripts[name]
    if settings.alignment.states_from is not None:
        sources, system_of = inherited_states(settings, train_transcripts)
        spec = ArtefactSpec(_KIND, {}, sources)
        system, known = _kept(system_folder(settings), spec, system_of)
        return CorpusHmms(system, None, known.source)
    if settings.alignment.flat is not None:
        system, known = _flat(settings, train, train_transcripts)
        return CorpusHmms(system, None, known.source)
    mixtures, known = _full_rate(settings, train, train_transcripts)
    if subsampling(settings) == 1:
        return CorpusHmms(mixtures, mixtures, known.source)
    system, known = _sampled(settings, train, train_transcripts, mixtures, known.source)
    return CorpusHmms(system, mixtures, known.source)


def _flat(
    settings: Settings, train: DataDir, transcripts: dict[str, Transcript]
) -> tuple[HmmSystem, Artefact]:
    """Make HMMs that emit every k-th frame from lexicons and transcripts."""
    flat, every = flat_options(settings), subsampling(settings)
    folder, languages = settings.corpus.dir / "lang", list(settings.corpus.languages)
    lexicons = lexicons_of(folder, languages, transcripts)
    recorded = {"model.subsampling": every, "alignment.flat.context": str(flat.context)}
    sources = {"lexicons": Source.of_values([lexicon.text() for lexicon in lexicons])}
    if flat.context is FlatContext.LEFT:
        recorded |= {f"alignment.flat.{key}": value for key, value in asdict(flat).items()}
        sources["transcripts"] = transcripts_source(train)
    spec = ArtefactSpec(_KIND, recorded, sources)
    return _kept(
        system_folder(settings), spec, lambda: flat_system(lexicons, transcripts, flat, every)
    )


def _sampled(
    settings: Settings,
    train: DataDir,
    transcripts: dict[str, Transcript],
    mixtures: HmmSystem,
    source: Source,
) -> tuple[HmmSystem, Artefact]:
    """Make HMMs that emit every k-th frame of those that emit every one."""
    tree, every, chain = settings.alignment.tree, subsampling(settings), settings.alignment.chain
    limits = settings.alignment if tree is None else tree
    states = None if tree is None else tree.states
    kind = EDGES
    group = "alignment" if tree is None else "alignment.tree"
    recorded = {
        "model.subsampling": every,
        f"{group}.max_utterances": limits.max_utterances,
    }
    if chain is not None:
        kind, states = CHAIN, chain.states
        recorded["alignment.chain.states"] = states
    else:
        recorded["alignment.tree.states"] = states
    options = SamplingOptions(every, kind, states, limits.max_utterances)

    def make() -> HmmSystem:
        skips = SkipList(f"HMMs of every frame of {every}", settings.alignment.max_skipped, _LIMIT)
        fbank = ArkReader(features_folder(settings, train.path.name) / "feats.scp")
        return train_sampled(
            mixtures, train, fbank, transcripts, options, skips, settings.alignment.jobs
        )

    spec = ArtefactSpec(_KIND, recorded, {"HMMs of every frame": source})
    return _kept(system_folder(settings), spec, make)


def _full_rate(
    settings: Settings, train: DataDir, transcripts: dict[str, Transcript]
) -> tuple[HmmSystem, Artefact]:
    """Train HMMs that emit every frame: monophones, and tied states where these are asked for."""
    name = settings.corpus.train_set
    monophones, known = _monophones(settings, train, transcripts)
    if settings.alignment.tree is None:
        return monophones, known
    tying = TyingOptions(**asdict(settings.alignment.tree), seed=settings.alignment.seed)
    options = {f"alignment.tree.{key}": value for key, value in asdict(tying).items()}
    options["alignment.seed"] = options.pop("alignment.tree.seed")

    def tied() -> HmmSystem:
        skips = SkipList("state tying", settings.alignment.max_skipped, _LIMIT)
        fbank = ArkReader(settings.corpus.dir / "fbank" / name / "feats.scp")
        return train_triphones(
            monophones, train, fbank, transcripts, tying, skips, settings.alignment.jobs
        )

    spec = ArtefactSpec(_KIND, options, {"monophones": known.source})
    return _kept(full_rate_folder(settings), spec, tied)


def _monophones(
    settings: Settings, train: DataDir, transcripts: dict[str, Transcript]
) -> tuple[HmmSystem, Artefact]:
    corpus, options = settings.corpus.dir, settings.alignment
    lexicons = lexicons_of(corpus / "lang", list(settings.corpus.languages), transcripts)
    flat = FlatStartOptions(options.iterations, options.gaussians, options.seed)
    fbank = corpus / "fbank" / train.path.name
    recorded = {f"alignment.{key}": value for key, value in asdict(flat).items()}
    recorded["alignment.max_utterances"] = options.max_utterances
    sources = {
        "lexicons": Source.of_values([lexicon.text() for lexicon in lexicons]),
        "transcripts": transcripts_source(train),
        "features": features_source(settings, train, fbank),
    }

    def trained() -> HmmSystem:
        skips = SkipList("flat start", options.max_skipped, _LIMIT)
        features = ArkReader(fbank / "feats.scp")
        return train_system(
            lexicons,
            train,
            features,
            transcripts,
            flat,
            options.max_utterances,
            skips,
            options.jobs,
        )

    return _kept(monophone_folder(settings), ArtefactSpec(_KIND, recorded, sources), trained)


def _kept(
    folder: Path, spec: ArtefactSpec, make: Callable[[], HmmSystem]
) -> tuple[HmmSystem, Artefact]:
    """Load the system in `folder` if it is current; otherwise make it and save it there."""
    if (known := current(folder, spec)) is not None:
        log.info("%s: the HMM system is there already", folder)
        return HmmSystem.load(folder), known
    system = make()

    def save(part: Path) -> dict[str, Any]:
        system.save(part)
        return {}

    return system, make_anew(folder, spec, save, inside=("lang",))


def transcripts_source(data: DataDir) -> Source:
    """Return the source that alignments of a set depend on, besides its features."""
    return Source.of_values([[u.id, u.speaker, u.language, u.text] for u in data.utterances])
