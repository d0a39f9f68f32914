"""Align a corpus: GMM flat start, forced alignment of every set, and the packed frame stores."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from asr_hf.data.alignment import Alignments
from asr_hf.data.ark import ArkReader
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.store_writer import build_store
from asr_hf.hmm.align import AlignedSet, AlignOptions, Transcript, align_set
from asr_hf.hmm.corpus import speaker_features, transcripts_of
from asr_hf.hmm.language import check_languages
from asr_hf.hmm.scores import Scores
from asr_hf.hmm.segments import ctm_lines
from asr_hf.hmm.system import HmmSystem
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json, write_json, write_text
from asr_hf.runtime.progress import progress
from asr_hf.runtime.skips import SkipList
from asr_hf.stages.carry import (
    carried_alignments,
    carried_ctm,
    clean_summary,
    table_text,
)
from asr_hf.stages.external import alignments_from_outside, pack_external
from asr_hf.stages.hmms import features_of, hmm_system, transcribed
from asr_hf.stages.layout import alignment_folder, store_folder, system_folder
from asr_hf.stages.marks import current_summary, digest

log = logging.getLogger(__name__)

# Starting a process takes as long as aligning this many utterances.
_WORTH_A_PROCESS = 100

ScoreSource = Callable[[str], Iterator[tuple[str, Scores]]]


def run(config: DictConfig, scores: ScoreSource | None = None) -> dict[str, Any]:
    """Make the alignments and the frame stores of a corpus.

    The GMM flat start on the training set aligns all sets, with states tied in context where
    `alignment.tree` asks for that; `alignment.from_run` aligns them with a trained network instead,
    and `alignment.from_kaldi` and `alignment.from_ark` take alignments made elsewhere. A corpus of
    copies (`corpus.clean`) has the HMM system and alignments of its clean recordings. Whatever is
    there already, made from the same input, is kept.

    Args:
        config: the configuration.
        scores: log likelihoods of a set's utterances under the network of `alignment.from_run`;
            by default they are computed from that run folder.

    Returns:
        pdfs, Gaussians, and of each set the utterances, frames and what was skipped.

    Raises:
        InputError: data are missing or damaged, or too many utterances cannot be aligned.
    """
    if alignments_from_outside(config):
        return pack_external(config)
    if config.features.get("transforms") is not None:
        raise InputError(
            "features.transforms: only with alignments made elsewhere",
            expected="alignment.from_kaldi or alignment.from_ark beside it",
            remedy="leave it out, or name the alignments of the system it belongs to",
        )
    corpus = Path(config.corpus.dir)
    data = {name: DataDir.read(corpus / name) for name in config.corpus.sets}
    languages = list(config.corpus.languages)
    transcripts = {name: transcripts_of(d, languages) for name, d in data.items()}
    check_languages(corpus / "lang", languages)
    system, origin = hmm_system(config, data, transcripts)
    if config.alignment.from_run is not None:
        scores = scores or _network_scores(config)
        origin = digest(origin, _file_digest(Path(config.alignment.from_run) / "model.safetensors"))
    carry = config.corpus.get("clean") is not None and scores is None
    sets = {}
    for name, directory in data.items():
        fbank = corpus / "fbank" / name
        made = digest(origin, transcribed(directory), read_json(fbank / "fbank.json"))
        if carry:
            sets[name] = _carry(config, directory, features_of(fbank), made)
            continue
        matrices = scores(name) if scores else speaker_features(directory, features_of(fbank))
        by_gmm = scores is None
        sets[name] = _align(config, system, directory, transcripts[name], matrices, by_gmm, made)
    system.make_graphs(
        system_folder(config), {name: corpus / "lang" / name / "lm.arpa" for name in languages}
    )
    assert system.gmm is not None
    return {
        "pdfs": system.transitions.num_pdfs,
        "gaussians": system.gmm.num_gaussians,
        "sets": sets,
    }


def _align(
    config: DictConfig,
    system: HmmSystem,
    data: DataDir,
    transcripts: dict[str, Transcript],
    matrices: Iterator[tuple[str, Scores]],
    by_gmm: bool,
    origin: str,
) -> dict[str, Any]:
    """Align one set and pack its store, unless both are there already."""
    options, name = config.alignment, data.path.name
    folder = alignment_folder(config, name)
    settings = AlignOptions(options.acoustic_scale, options.beam, options.retry_beam)
    made = digest(origin, str(settings), config.features.dtype, options.max_skipped)
    if (known := current_summary(config, name, made)) is not None:
        return known
    skips = SkipList(f"alignment of {name}", options.max_skipped)
    bar = progress(matrices, desc=f"aligning {name}", total=len(transcripts), unit="utt")
    jobs = min(options.jobs, 1 + len(transcripts) // _WORTH_A_PROCESS)
    aligned = align_set(system, bar, transcripts, settings, skips, by_gmm=by_gmm, jobs=jobs)
    skips.check(len(transcripts))
    alignments = Alignments(aligned.pdfs, system.transitions.num_pdfs)
    alignments.write(folder)
    _write_ctm(config, folder, aligned)
    return _packed(config, data, alignments, made, aligned.unknown, skips)


def _carry(config: DictConfig, data: DataDir, fbank: ArkReader, origin: str) -> dict[str, Any]:
    """Carry over the alignments of one set and pack its store, unless both are there already."""
    options, name = config.alignment, data.path.name
    clean = clean_summary(config, name)
    made = digest(
        origin, clean["digest"], table_text(data.path), config.features.dtype, options.max_skipped
    )
    if (known := current_summary(config, name, made)) is not None:
        return known
    skips = SkipList(f"alignment of {name}", options.max_skipped)
    alignments = carried_alignments(config, data, fbank, skips)
    skips.check(len(data.utterances))
    folder = alignment_folder(config, name)
    alignments.write(folder)
    for kind in ("phones", "words"):
        write_text(folder / f"{kind}.ctm", carried_ctm(config, data, kind))
    return _packed(config, data, alignments, made, clean["unknown_words"], skips)


def _packed(
    config: DictConfig,
    data: DataDir,
    alignments: Alignments,
    made: str,
    unknown: dict[str, int],
    skips: SkipList,
) -> dict[str, Any]:
    """Pack the store of an aligned set, and mark both as done."""
    about = _store(config, data, alignments)
    summary = {
        "digest": made,
        "utterances": about["utterances"],
        "frames": about["frames"],
        "unknown_words": unknown,
        "skipped": about["skipped"] | skips.reasons,
    }
    write_json(alignment_folder(config, data.path.name) / "summary.json", summary)
    return summary


def _write_ctm(config: DictConfig, folder: Path, aligned: AlignedSet) -> None:
    shift = config.features.frame_shift / 1000
    for name, segments in (("phones", aligned.phones), ("words", aligned.words)):
        lines = (ctm_lines(utterance, found, shift) for utterance, found in segments.items())
        write_text(folder / f"{name}.ctm", "".join(lines))


def _store(config: DictConfig, data: DataDir, alignments: Alignments) -> dict[str, Any]:
    corpus, name = Path(config.corpus.dir), data.path.name
    return build_store(
        store_folder(config, name),
        data,
        corpus / "fbank" / name,
        alignments,
        config.features.dtype,
        config.alignment.max_skipped,
    )


def _network_scores(config: DictConfig) -> ScoreSource:
    # The network's libraries take seconds to load, and the usual alignment needs none of them.
    from asr_hf.stages.decode import network_scores

    run_dir = Path(config.alignment.from_run)
    # The network reads the store it was trained on; the tagged one is still to be made.
    source = config.copy()
    if (run_dir / "config.yaml").exists():
        source.alignment.tag = OmegaConf.load(run_dir / "config.yaml").alignment.tag
    return network_scores(source, run_dir)


def _file_digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise InputError(
            f"{path}: there is no trained model: {error.strerror}",
            remedy="name a run folder that holds a finished one in alignment.from_run",
        ) from error
