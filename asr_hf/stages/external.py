"""Pack the stores with alignments, and perhaps features, that were made elsewhere."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig

from asr_hf.data.alignment import Alignments
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.store_writer import build_store
from asr_hf.kaldi.alignments import read_alignments
from asr_hf.kaldi.features import file_stamps, link_features
from asr_hf.kaldi.transforms import FeatureTransforms
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json, write_json
from asr_hf.stages.kaldi_sets import kaldi_sets
from asr_hf.stages.layout import alignment_folder, store_folder
from asr_hf.stages.marks import current_summary, digest

log = logging.getLogger(__name__)


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
    origin = _origin(config)
    made = {name: digest(origin, _set_origin(config, name, data)) for name, data in sets.items()}
    known = {name: current_summary(config, name, made[name]) for name in sets}
    if any(known[name] is None for name in sets):
        every = _alignments(config)
        for name, data in sets.items():
            known[name] = _pack(config, data, name, every, made[name])
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
    pdfs = read_json(store_folder(config, config.corpus.train_set) / "store.json")["num_pdfs"]
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


def _pack(
    config: DictConfig, data: DataDir, name: str, every: Alignments, made: str
) -> dict[str, Any] | None:
    """Pack one set, unless there are no alignments for it."""
    mine = {u.id: every.pdfs[u.id] for u in data.utterances if u.id in every.pdfs}
    aligned = name not in config.corpus.get("decode_data", {})
    if aligned and not mine:
        log.warning("%s: no alignment of any utterance of %s", _source(config), name)
        return None
    path = config.features.get("transforms")
    about = build_store(
        store_folder(config, name),
        data,
        Path(config.corpus.dir) / "fbank" / name,
        Alignments(mine, every.num_pdfs) if aligned else None,
        config.features.dtype,
        config.alignment.max_skipped,
        transform=None if path is None else FeatureTransforms.open(Path(path)).apply,
        allow_pipes=config.features.get("allow_pipes", False),
    )
    summary = {"digest": made} | {k: about[k] for k in ("utterances", "frames", "skipped")}
    write_json(alignment_folder(config, name) / "summary.json", summary)
    return summary


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


def _origin(config: DictConfig) -> list[Any]:
    """What all sets depend on: of files, their sizes and times of change."""
    options, transforms = config.alignment, config.features.get("transforms")
    files = [Path(options.from_ark)] if options.get("from_kaldi") is None else []
    if not files:
        files = [p for folder in alignment_folders(config) for p in sorted(folder.glob("*"))]
    if transforms is not None:
        path = Path(transforms)
        files += sorted(path.glob("*")) if path.is_dir() else [path]
    return [file_stamps(files), options.num_pdfs, options.max_skipped, config.features.dtype]


def _set_origin(config: DictConfig, name: str, data: DataDir) -> list[Any]:
    folder = Path(config.corpus.dir) / "fbank" / name
    if not (folder / "feats.scp").is_file():
        raise InputError(f"{folder}/feats.scp: no features", remedy="run asr-hf features")
    # What is damaged in it is said where it is read.
    scp = (folder / "feats.scp").read_text(encoding="utf-8", errors="backslashreplace")
    return [read_json(folder / "fbank.json"), scp, [[u.id, u.speaker] for u in data.utterances]]
