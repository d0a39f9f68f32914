"""The HMM system of a corpus: monophones from a flat start, and states tied in context."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from omegaconf import DictConfig

from asr_hf.data.ark import ArkReader
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.hmm.align import Transcript
from asr_hf.hmm.corpus import lexicons_of, train_system
from asr_hf.hmm.flat_start import FlatStartOptions
from asr_hf.hmm.system import HmmSystem
from asr_hf.hmm.triphones import TyingOptions, train_triphones
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json, write_json
from asr_hf.runtime.skips import SkipList
from asr_hf.stages.carry import clean_system
from asr_hf.stages.layout import monophone_folder, system_folder
from asr_hf.stages.marks import digest

log = logging.getLogger(__name__)


def hmm_system(
    config: DictConfig,
    data: dict[str, DataDir],
    transcripts: dict[str, dict[str, Transcript]],
) -> tuple[HmmSystem, str]:
    """Train the HMM system, or load the one trained from the same input; and its digest.

    Args:
        config: the configuration.
        data: every set of the corpus.
        transcripts: of each set.

    Raises:
        InputError: data are missing, or too many utterances cannot be aligned.
    """
    if config.corpus.get("clean") is not None:
        system, origin = clean_system(config)
        return _kept(system_folder(config), origin, lambda: system), origin
    name = config.corpus.train_set
    train, spoken = data[name], transcripts[name]
    monophones, origin = _monophones(config, train, spoken)
    if config.alignment.tree is None:
        return monophones, origin
    tying = TyingOptions(**config.alignment.tree, seed=config.alignment.seed)
    origin = digest(origin, asdict(tying))

    def tied() -> HmmSystem:
        skips = SkipList("state tying", config.alignment.max_skipped)
        fbank = features_of(Path(config.corpus.dir) / "fbank" / name)
        return train_triphones(
            monophones, train, fbank, spoken, tying, skips, config.alignment.jobs
        )

    return _kept(system_folder(config), origin, tied), origin


def _monophones(
    config: DictConfig, train: DataDir, transcripts: dict[str, Transcript]
) -> tuple[HmmSystem, str]:
    corpus, options = Path(config.corpus.dir), config.alignment
    lexicons = lexicons_of(corpus / "lang", list(config.corpus.languages), transcripts)
    flat = FlatStartOptions(options.iterations, options.gaussians, options.seed)
    fbank = corpus / "fbank" / train.path.name
    origin = digest(
        [lexicon.text() for lexicon in lexicons],
        transcribed(train),
        read_json(fbank / "fbank.json"),
        [flat.iterations, flat.gaussians, flat.seed, options.max_utterances],
    )

    def trained() -> HmmSystem:
        skips = SkipList("flat start", options.max_skipped)
        features = features_of(fbank)
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

    return _kept(monophone_folder(config), origin, trained), origin


def _kept(folder: Path, origin: str, make: Callable[[], HmmSystem]) -> HmmSystem:
    """The system in `folder`, made and saved there unless it is there from the same input."""
    mark = folder / "origin.json"
    if mark.is_file() and read_json(mark) == {"digest": origin}:
        log.info("%s: the HMM system is there already", folder)
        return HmmSystem.load(folder)
    mark.unlink(missing_ok=True)
    system = make()
    system.save(folder)
    write_json(mark, {"digest": origin})
    return system


def transcribed(data: DataDir) -> list[list[str | None]]:
    """What alignments of a set depend on, but for its features."""
    return [[u.id, u.speaker, u.language, u.text] for u in data.utterances]


def features_of(folder: Path) -> ArkReader:
    """The filterbanks of a set.

    Raises:
        InputError: there are none.
    """
    if not (folder / "feats.scp").is_file():
        raise InputError(f"{folder}/feats.scp: no features", remedy="run asr-hf features")
    return ArkReader(folder / "feats.scp")
