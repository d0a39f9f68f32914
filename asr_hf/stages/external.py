"""Pack the stores with alignments, and perhaps features, that were made elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig

from asr_hf.data.alignment import Alignments
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.kaldi.alignments import read_alignments
from asr_hf.kaldi.features import file_stamps, link_features
from asr_hf.kaldi.transforms import FeatureTransforms
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.provenance import Source
from asr_hf.stages.expected import features_source
from asr_hf.stages.kaldi_sets import kaldi_sets
from asr_hf.stages.packing import pack

log = logging.getLogger(__name__)


class _NothingAligned(Exception):
    """There are alignments, but none of a set's utterances."""


def alignments_from_outside(config: DictConfig) -> bool:
    """Whether alignments are not made here: they are named, or the corpus is one of Kaldi's."""
    named = any(config.alignment.get(key) is not None for key in ("from_ark", "from_kaldi"))
    return named or "train_data" in config.corpus


def pack_external(config: DictConfig) -> dict[str, Any]:
    """Pack the store of every set that has alignments; those packed from the same input are kept.

    Returns:
        pdfs, and of each set the utterances, frames and what was skipped.

    Raises:
        InputError: data are missing or damaged, or the training set has no alignments.
    """
    if config.alignment.get("from_kaldi") is None and config.alignment.from_ark is None:
        raise InputError(
            "alignment.from_kaldi=null: a corpus of Kaldi's has no other alignments",
            expected=str(config.corpus.needs),
            remedy="alignment.from_kaldi=exp/tri4_ali, for example",
        )
    sets = _data(config)
    every = cache(lambda: _alignments(config))
    known = {name: _packed(config, name, data, every) for name, data in sets.items()}
    needed = [config.corpus.train_set]
    if "train_data" in config.corpus:
        needed.append(config.corpus.heldout_set)
    for name in needed:
        if known[name] is None:
            raise InputError(
                f"{_source(config)}: no alignment of any utterance of {name}",
                expected="keys that are utterance ids",
                remedy="check that alignments and data directory belong together",
            )
    found = {name: summary for name, summary in known.items() if summary is not None}
    pdfs = found[config.corpus.train_set]["num_pdfs"]
    return {"pdfs": pdfs, "gaussians": None, "sets": found}


def _data(config: DictConfig) -> dict[str, DataDir]:
    """The sets of the corpus; those of Kaldi's folders with links to their features."""
    corpus = Path(config.corpus.dir)
    found = kaldi_sets(config)
    if not found:
        return {name: DataDir.read(corpus / name) for name in config.corpus.sets}
    for name, data in found.items():
        link_features(
            data.path,
            corpus / "fbank" / name,
            config.features.cmvn,
            config.corpus.norm_vars,
            config.features.get("allow_pipes", False),
        )
    return found


def _packed(
    config: DictConfig, name: str, data: DataDir, every: Callable[[], Alignments]
) -> dict[str, Any] | None:
    """What is said of the store of a set, packed if need be; None without alignments for it."""
    aligned = name not in config.corpus.get("decode_data", {})
    path = config.features.get("transforms")
    transform = None if path is None else FeatureTransforms.open(Path(path)).apply
    sources = {"features": _features(config, name, data)}
    if path is not None:
        sources["transforms"] = Source.of_values(file_stamps(_files(Path(path))))
    if not aligned:
        return pack(config, name, data, None, sources, transform)

    def mine() -> Alignments:
        found = {u.id: every().pdfs[u.id] for u in data.utterances if u.id in every().pdfs}
        if not found:
            raise _NothingAligned
        return Alignments(found, every().num_pdfs)

    sources["alignments"] = _alignments_source(config)
    try:
        return pack(config, name, data, mine, sources, transform)
    except _NothingAligned:
        log.warning("%s: no alignment of any utterance of %s", _source(config), name)
        return None


def _alignments(config: DictConfig) -> Alignments:
    options = config.alignment
    if options.get("from_kaldi") is not None:
        return read_alignments(alignment_folders(config))
    return Alignments.from_kaldi(Path(options.from_ark), options.num_pdfs)


def alignment_folders(config: DictConfig) -> list[Path]:
    """The folders of `alignment.from_kaldi`, which may name one or several."""
    named = config.alignment.from_kaldi
    return [Path(path) for path in (named if isinstance(named, ListConfig) else [named])]


def _source(config: DictConfig) -> str:
    if config.alignment.get("from_kaldi") is None:
        return str(config.alignment.from_ark)
    return ", ".join(map(str, alignment_folders(config)))


def _alignments_source(config: DictConfig) -> Source:
    """What identifies the alignments: of files, their sizes and times of change."""
    options = config.alignment
    if options.get("from_kaldi") is None:
        files = [Path(options.from_ark)]
    else:
        files = [path for folder in alignment_folders(config) for path in _files(folder)]
    return Source.of_values(file_stamps(files), options.num_pdfs)


def _features(config: DictConfig, name: str, data: DataDir) -> Source:
    folder = Path(config.corpus.dir) / "fbank" / name
    speakers = [[u.id, u.speaker] for u in data.utterances]
    return Source.of_values(features_source(config, data, folder).digest, speakers)


def _files(path: Path) -> list[Path]:
    return sorted(path.glob("*")) if path.is_dir() else [path]
