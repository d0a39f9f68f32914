"""Makes the HMM system of a corpus: monophones from a flat start, and states tied in context."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from asr_hf.data.ark import ArkReader
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.hmm.alignment.align import Transcript
from asr_hf.hmm.alignment.corpus import lexicons_of, train_system
from asr_hf.hmm.alignment.flat_start import FlatStartOptions
from asr_hf.hmm.system import HmmSystem
from asr_hf.hmm.tree.triphones import TyingOptions, train_triphones
from asr_hf.runtime.artefact import current, make_anew
from asr_hf.runtime.provenance import Artefact, ArtefactSpec, Source
from asr_hf.runtime.skips import SkipList
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.expected import features_source
from asr_hf.stages.sources.inherited_states import inherited_states
from asr_hf.stages.sources.layout import monophone_folder, system_folder
from asr_hf.stages.sources.transfer_alignments import clean_system

log = logging.getLogger(__name__)

_KIND, _LIMIT = "HMM system", "alignment.max_skipped"


def hmm_system(
    settings: Settings,
    data: dict[str, DataDir],
    transcripts: dict[str, dict[str, Transcript]],
) -> tuple[HmmSystem, Artefact]:
    """Train the HMM system, or load the one that is current.

    The HMM system of a corpus of copies is that of its clean corpus. With `alignment.states_from`
    it has the states of another corpus's.

    Args:
        settings: settings of the command.
        data: data directory of each set of the corpus.
        transcripts: transcripts of each set, by utterance.

    Returns:
        The HMM system, and the artefact that holds it.

    Raises:
        InputError: data are missing, or too many utterances cannot be aligned.
    """
    if settings.corpus.clean is not None:
        system, clean = clean_system(settings)
        carried = ArtefactSpec(_KIND, {}, {"clean system": clean})
        return _kept(system_folder(settings), carried, lambda: system)
    name = settings.corpus.train_set
    train, train_transcripts = data[name], transcripts[name]
    if settings.alignment.states_from is not None:
        sources, system_of = inherited_states(settings, train_transcripts)
        return _kept(system_folder(settings), ArtefactSpec(_KIND, {}, sources), system_of)
    monophones, known = _monophones(settings, train, train_transcripts)
    if settings.alignment.tree is None:
        return monophones, known
    tying = TyingOptions(**asdict(settings.alignment.tree), seed=settings.alignment.seed)
    options = {f"alignment.tree.{key}": value for key, value in asdict(tying).items()}
    options["alignment.seed"] = options.pop("alignment.tree.seed")

    def tied() -> HmmSystem:
        skips = SkipList("state tying", settings.alignment.max_skipped, _LIMIT)
        fbank = ArkReader(settings.corpus.dir / "fbank" / name / "feats.scp")
        return train_triphones(
            monophones, train, fbank, train_transcripts, tying, skips, settings.alignment.jobs
        )

    spec = ArtefactSpec(_KIND, options, {"monophones": known.source})
    return _kept(system_folder(settings), spec, tied)


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
