"""Pack the stores with alignments, and perhaps features, that were made elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig

from asr_hf.data.alignment import Alignments
from asr_hf.data.cmvn import CmvnMode, CmvnOptions
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.kaldi.alignments import read_alignments
from asr_hf.kaldi.features import file_stamps, link_features, processing
from asr_hf.kaldi.options import read_cmvn_options
from asr_hf.kaldi.transforms import (
    FeatureTransforms,
    option_file,
    transform_files,
    unapplied_transforms,
)
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json
from asr_hf.runtime.provenance import Source
from asr_hf.stages.sources.expected import features_source
from asr_hf.stages.sources.kaldi_sets import decode_data, kaldi_sets
from asr_hf.stages.sources.layout import store_folder
from asr_hf.stages.sources.packing import pack

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


def pack_decode_data(config: DictConfig, names: Iterable[str]) -> None:
    """Pack those of the sets `names` that `corpus.decode_data` lists; current ones are kept.

    They need no alignments, and may have been named after training.

    Raises:
        InputError: data are missing or damaged.
    """
    wanted = set(names)
    sets = {name: data for name, data in decode_data(config).items() if name in wanted}
    _link(config, sets)
    for name, data in sets.items():
        _check_as_trained(config, name)
        _packed(config, name, data, lambda: _alignments(config))


def _data(config: DictConfig) -> dict[str, DataDir]:
    """The sets of the corpus; those of Kaldi's folders with links to their features."""
    corpus = Path(config.corpus.dir)
    found = kaldi_sets(config)
    if not found:
        return {name: DataDir.read(corpus / name) for name in config.corpus.sets}
    _link(config, found)
    if config.alignment.get("from_kaldi") is not None and not transform_paths(config):
        for folder in alignment_folders(config):
            if names := unapplied_transforms(folder):
                said = "%s: its %s change nothing here; features.transforms=%s applies them"
                log.info(said, folder, ", ".join(names), folder)
    return found


def _link(config: DictConfig, sets: Mapping[str, DataDir]) -> None:
    """Write links to the features of sets that lie in folders of Kaldi's."""
    if not sets:
        return
    mode, options = _cmvn(config)
    folders: dict[Path, list[Path]] = {}
    for name, data in sets.items():
        folders.setdefault(data.path, []).append(Path(config.corpus.dir) / "fbank" / name)
    for source, of_sets in folders.items():
        allow_pipes = config.features.get("allow_pipes", False)
        transformed = bool(transform_paths(config))
        link_features(source, of_sets, mode, options, allow_pipes, transformed)


def _check_as_trained(config: DictConfig, name: str) -> None:
    """Refuse to do other things to the features of a set than to those of training.

    Raises:
        InputError: they differ.
    """
    trained = store_folder(config, config.corpus.train_set) / "store.json"
    if not trained.is_file():
        return
    wanted = processing(read_json(trained).get("features") or {})
    found = processing(read_json(Path(config.corpus.dir) / "fbank" / name / "fbank.json"))
    if odd := [key for key in wanted if found[key] != wanted[key]]:
        raise InputError(
            f"corpus.decode_data.{name}: features with {', '.join(f'{k}={found[k]}' for k in odd)}",
            expected=f"{', '.join(f'{k}={wanted[k]}' for k in odd)}, as in {trained.parent}",
            remedy="give this command the overrides of training, alignment.from_kaldi, "
            "features.transforms and corpus.norm_vars among them",
        )


def _cmvn(config: DictConfig) -> tuple[CmvnMode, CmvnOptions]:
    """The normalisation of Kaldi's features: what cmvn_opts of their system says.

    Transforms were estimated on features that were normalised in one way. Without transforms,
    `corpus.norm_vars` chooses another than that of the alignments' system.

    Raises:
        InputError: folders contradict one another, or the configuration contradicts transforms.
    """
    mode, chosen = CmvnMode(config.features.cmvn), config.corpus.get("norm_vars")
    if "train_data" not in config.corpus:
        # Features of our own are normalised in both.
        return mode, CmvnOptions()
    transforms = [path for path in transform_paths(config) if path.is_dir()]
    folders = transforms
    if not transforms and chosen is None and config.alignment.get("from_kaldi") is not None:
        folders = alignment_folders(config)
    found = {option_file(path, "cmvn_opts"): None for path in folders}
    told = {path: read_cmvn_options(path) for path in found}
    for path, one in told.items():
        first = next(iter(told))
        if one != told[first]:
            raise InputError(
                f"{path}: other options than in {first}",
                expected="one way of normalising all features (or no file, for Kaldi's defaults)",
                remedy="name folders of one system; without transforms, corpus.norm_vars decides",
            )
        if chosen is not None and chosen != one.options.norm_vars:
            raise InputError(
                f"corpus.norm_vars={str(chosen).lower()}: the transforms were estimated otherwise",
                expected=f"--norm-vars={str(one.options.norm_vars).lower()}, as {path} says",
                remedy="leave corpus.norm_vars out",
            )
    if not told:
        return mode, CmvnOptions(norm_vars=bool(chosen))
    path, one = next(iter(told.items()))
    if not one.norm_means and mode is not CmvnMode.NONE:
        log.info("%s: --norm-means=false: features are taken as they are", path)
        mode = CmvnMode.NONE
    return mode, one.options


def _packed(
    config: DictConfig, name: str, data: DataDir, every: Callable[[], Alignments]
) -> dict[str, Any] | None:
    """What is said of the store of a set, packed if need be; None without alignments for it."""
    paths = transform_paths(config)
    transform = FeatureTransforms.open(paths).apply if paths else None
    sources = {
        "features": features_source(config, data, Path(config.corpus.dir) / "fbank" / name),
        "speakers": Source.of_values([[u.id, u.speaker] for u in data.utterances]),
    }
    if paths:
        sources["transforms"] = Source.of_values(file_stamps(transform_files(paths)))
    if _only_decoded(config, name):
        limit = "decode.max_skipped"
        return pack(config, name, data, None, sources, transform, limit)

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


def _only_decoded(config: DictConfig, name: str) -> bool:
    return name in (config.corpus.get("decode_data") or {})


def _alignments(config: DictConfig) -> Alignments:
    options = config.alignment
    if options.get("from_kaldi") is not None:
        return read_alignments(alignment_folders(config))
    return Alignments.from_kaldi(Path(options.from_ark), options.num_pdfs)


def alignment_folders(config: DictConfig) -> list[Path]:
    """The folders of `alignment.from_kaldi`, which may name one or several."""
    named = config.alignment.from_kaldi
    return [Path(path) for path in (named if isinstance(named, ListConfig) else [named])]


def transform_paths(config: DictConfig) -> list[Path]:
    """The folders and archives of `features.transforms`, which may name none, one or several."""
    named = config.features.get("transforms")
    if named is None:
        return []
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
        files = [path for folder in alignment_folders(config) for path in sorted(folder.glob("*"))]
    return Source.of_values(file_stamps(files), options.num_pdfs)
