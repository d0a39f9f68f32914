"""Packing features and alignments into a frame store."""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from asr_hf.data.alignment import Alignments
from asr_hf.data.ark import ArkReader
from asr_hf.data.cmvn import CmvnSource
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.data.store import FORMAT
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json, write_json, write_text
from asr_hf.runtime.progress import progress
from asr_hf.runtime.skips import SkipList

log = logging.getLogger(__name__)

_TOLERANCE = 2


@dataclass
class _Packed:
    """What has been written so far."""

    utterances: list[str] = field(default_factory=list)
    speakers: list[str] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    trimmed: int = 0
    dim: int = 0


def build_store(
    folder: Path,
    data: DataDir,
    feature_folder: Path,
    alignments: Alignments | None,
    dtype: str = "float16",
    max_skipped: float = 0.05,
) -> dict[str, Any]:
    """Pack the utterances of `data` into `folder`, CMVN applied.

    Features and alignments may differ by at most two frames, which are trimmed and counted.

    Args:
        folder: where the store goes; replaced as a whole.
        data: the utterances and their speakers.
        feature_folder: what `extract_features` wrote.
        alignments: pdf of every frame; None for a store that is only decoded.
        dtype: "float16" or "float32".
        max_skipped: largest share of utterances that may be left out.

    Returns:
        The store's description, as written to store.json.

    Raises:
        InputError: non-finite features, a label beyond the number of pdfs, or too many skips.
    """
    folder = Path(folder)
    part = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    part.mkdir(parents=True)
    try:
        about = _pack(part, folder.name, data, Path(feature_folder), alignments, dtype, max_skipped)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return about


def _pack(
    part: Path,
    name: str,
    data: DataDir,
    feature_folder: Path,
    alignments: Alignments | None,
    dtype: str,
    max_skipped: float,
) -> dict[str, Any]:
    features = ArkReader(feature_folder / "feats.scp")
    cmvn = CmvnSource.open(feature_folder)
    packed, skips = _Packed(), SkipList(f"packing {name}", max_skipped)
    with open(part / "frames.bin", "wb") as frames, open(part / "labels.bin", "wb") as labels:
        for utterance in progress(data.utterances, desc=f"packing {name}", unit="utt"):
            if utterance.id not in features:
                skips.add(utterance.id, f"no features in {features.path}")
                continue
            matrix = cmvn.apply(utterance, features[utterance.id])
            pdfs = _labels_for(utterance, len(matrix), alignments, skips)
            if alignments is not None and pdfs is None:
                continue
            _write(packed, utterance, matrix, pdfs, np.dtype(dtype), frames, labels)
    skips.check(len(data.utterances))
    if alignments is None:
        (part / "labels.bin").unlink()
    offsets = np.concatenate([[0], np.cumsum(packed.lengths, dtype=np.int64)])
    np.save(part / "offsets.npy", offsets, allow_pickle=False)
    write_text(part / "utterances.txt", "".join(f"{u}\n" for u in packed.utterances))
    write_text(part / "speakers.txt", "".join(f"{s}\n" for s in packed.speakers))
    about = {
        "format": FORMAT,
        "dim": packed.dim,
        "dtype": dtype,
        "labelled": alignments is not None,
        "num_pdfs": 0 if alignments is None else alignments.num_pdfs,
        "frames": int(offsets[-1]),
        "utterances": len(packed.utterances),
        "trimmed": packed.trimmed,
        "skipped": skips.reasons,
        "features": read_json(feature_folder / "fbank.json"),
    }
    write_json(part / "store.json", about)
    if packed.trimmed:
        log.info("packing %s: %d utterances trimmed by 1 or 2 frames", name, packed.trimmed)
    return about


def _labels_for(
    utterance: Utterance, frames: int, alignments: Alignments | None, skips: SkipList
) -> np.ndarray | None:
    """The utterance's labels, or None when it cannot be used."""
    if alignments is None:
        return None
    pdfs = alignments.pdfs.get(utterance.id)
    if pdfs is None:
        skips.add(utterance.id, "no alignment")
        return None
    if abs(len(pdfs) - frames) > _TOLERANCE:
        skips.add(
            utterance.id,
            f"{frames} feature frames but {len(pdfs)} aligned frames "
            f"(at most {_TOLERANCE} may differ; are frame shift and segments the same?)",
        )
        return None
    return pdfs


def _write(
    packed: _Packed,
    utterance: Utterance,
    matrix: np.ndarray,
    pdfs: np.ndarray | None,
    dtype: np.dtype[Any],
    frames: BinaryIO,
    labels: BinaryIO,
) -> None:
    length = len(matrix) if pdfs is None else min(len(matrix), len(pdfs))
    packed.trimmed += pdfs is not None and len(matrix) != len(pdfs)
    narrow = matrix[:length].astype(dtype)
    if not np.isfinite(narrow).all():
        raise InputError(
            f"utterance {utterance.id}: its features hold values that are not finite "
            f"in {dtype.name}",
            expected="finite filterbank features",
            remedy="look at its audio; extract features again",
        )
    if packed.dim not in (0, matrix.shape[1]):
        raise InputError(
            f"utterance {utterance.id}: features of {matrix.shape[1]} dimensions",
            expected=f"{packed.dim}, as in the utterances before it",
        )
    packed.dim = matrix.shape[1]
    frames.write(narrow.tobytes())
    if pdfs is not None:
        labels.write(pdfs[:length].astype(np.int32).tobytes())
    packed.utterances.append(utterance.id)
    packed.speakers.append(utterance.speaker)
    packed.lengths.append(length)
