"""Packs features and alignments into a frame store."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from asr_hf.data.alignment import Alignments
from asr_hf.data.ark import ArkReader
from asr_hf.data.checksums import FILE_NAME as CHECKSUMS
from asr_hf.data.checksums import crc32, with_checksums
from asr_hf.data.cmvn import CmvnSource
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.data.store import FORMAT
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json, replaced_folder, write_json, write_text
from asr_hf.runtime.progress import progress
from asr_hf.runtime.skips import SkipList

log = logging.getLogger(__name__)

SMALL_FILES = ("offsets.npy", CHECKSUMS, "utterances.txt", "speakers.txt")
_TOLERANCE = 2
# Numbers of frames for each label in Kaldi's chain models, the usual one first.
_SUBSAMPLED = (3, 2, 4)

# Makes the features that are packed [F, D'] from an utterance and its normalised features [F, D].
Transform = Callable[[Utterance, np.ndarray], np.ndarray]


@dataclass
class _Packed:
    """The index of the utterances that were written so far."""

    origin: Path
    utterances: list[str] = field(default_factory=list)
    speakers: list[str] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    # CRC-32 of each utterance's frames and labels.
    sums: list[tuple[int, int]] = field(default_factory=list)
    trimmed: int = 0
    dim: int = 0


@dataclass(frozen=True)
class FeatureSource:
    """The source of the features that are packed.

    Args:
        features: archive of the features.
        cmvn: normalisation of the features.
        transform: further transformation of the normalised features; None for none.
        dtype: type of the packed features.
    """

    features: ArkReader
    cmvn: CmvnSource
    transform: Transform | None
    dtype: np.dtype[Any]

    @classmethod
    def open(
        cls,
        folder: Path,
        dtype: str = "float16",
        transform: Transform | None = None,
        allow_pipes: bool = False,
    ) -> FeatureSource:
        """Return the features in `folder` as a source; see `build_store` for the arguments."""
        return cls(
            ArkReader(folder / "feats.scp", allow_pipes),
            CmvnSource.open(folder, allow_pipes),
            transform,
            np.dtype(dtype),
        )

    def frames(self, utterance: Utterance) -> np.ndarray:
        """Return the features [F, D] of one utterance in the precision of the store.

        Raises:
            InputError: the features cannot be read, or are not finite.
        """
        place = f"{self.features.path}: utterance {utterance.id}"
        return _narrow(place, self.read(utterance), self.dtype)

    def read(self, utterance: Utterance) -> np.ndarray:
        """Return the features [F, D] of one utterance before they lose precision."""
        matrix = self.features[utterance.id]
        if matrix.ndim != 2 or not matrix.shape[1]:
            raise InputError(
                f"{self.features.path}: utterance {utterance.id}: numbers of shape {matrix.shape}",
                expected="a matrix of features",
                remedy="extract the features again",
            )
        matrix = self.cmvn.apply(utterance, matrix)
        return matrix if self.transform is None else self.transform(utterance, matrix)


def build_store(
    folder: Path,
    data: DataDir,
    feature_folder: Path,
    alignments: Alignments | None,
    dtype: str = "float16",
    max_skipped: float = 0.05,
    transform: Transform | None = None,
    allow_pipes: bool = False,
    logged: Collection[str] = (),
    num_pdfs: int = 0,
) -> dict[str, Any]:
    """Pack the normalised features of a data directory, and their alignments, into a frame store.

    Features and alignments of an utterance may differ by at most two frames, which are cut off and
    counted.

    Args:
        folder: folder of the store, which is replaced as a whole.
        data: data directory with the utterances and their speakers.
        feature_folder: folder that `extract_features` has written.
        alignments: pdf of every frame; None for a store without labels.
        dtype: type of the features, "float16" or "float32".
        max_skipped: largest share of utterances that may be left out.
        transform: further transformation of the normalised features; None for none.
        allow_pipes: whether commands in the feature folder's scp files are run in a shell.
        logged: skipped utterances that the log has named already.
        num_pdfs: number of pdfs, where a store without labels is trained on.

    Returns:
        The content of store.json.

    Raises:
        InputError: features are not finite, an archive is corrupt, there is nothing to pack, or too
            many utterances are skipped.
        RunError: the disk is full, or the folder is read-only.
    """
    folder = Path(folder)
    source = FeatureSource.open(feature_folder, dtype, transform, allow_pipes)
    packed = _Packed(source.features.path)
    key = "alignment.max_skipped"
    skips = SkipList(f"packing {data.path.name}", max_skipped, key, logged=set(logged))
    with replaced_folder(folder) as part:
        _write_frames(part, data, source, alignments, packed, skips)
        skips.check(len(data.utterances))
        if not packed.utterances:
            raise InputError(
                f"{data.path}: no utterance to pack", remedy="check the data directory"
            )
        _write_utterances(part, packed)
        about = _description(packed, dtype, alignments, num_pdfs) | {
            "skipped": skips.reasons,
            "features": read_json(feature_folder / "fbank.json"),
        }
        about = with_checksums(part, about, SMALL_FILES)
        write_json(part / "store.json", about)
    if packed.trimmed:
        log.info("%s: %d utterances trimmed by 1 or 2 frames", skips.stage, packed.trimmed)
    return about


def _description(
    packed: _Packed, dtype: str, alignments: Alignments | None, num_pdfs: int
) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "dim": packed.dim,
        "dtype": dtype,
        "labelled": alignments is not None,
        "num_pdfs": num_pdfs if alignments is None else alignments.num_pdfs,
        "frames": sum(packed.lengths),
        "utterances": len(packed.utterances),
        "trimmed": packed.trimmed,
    }


def _write_frames(
    part: Path,
    data: DataDir,
    source: FeatureSource,
    alignments: Alignments | None,
    packed: _Packed,
    skips: SkipList,
) -> None:
    with open(part / "frames.bin", "wb") as frames, open(part / "labels.bin", "wb") as labels:
        for utterance in progress(data.utterances, desc=skips.stage, unit="utt"):
            if utterance.id not in source.features:
                skips.add(utterance.id, f"no features in {source.features.path}")
                continue
            matrix = source.read(utterance)
            pdfs = None if alignments is None else alignments.pdfs.get(utterance.id)
            reason = "" if alignments is None else _mismatch(len(matrix), pdfs)
            if reason or not len(matrix):
                skips.add(utterance.id, reason or f"no frames in {source.features.path}")
            else:
                _write(packed, utterance, matrix, pdfs, source.dtype, frames, labels)
        for file in (frames, labels):
            file.flush()
            os.fsync(file.fileno())
    if alignments is None:
        (part / "labels.bin").unlink()


def _write_utterances(part: Path, packed: _Packed) -> None:
    """Write the small files, which hold a line or a number for each utterance."""
    offsets = np.concatenate([[0], np.cumsum(packed.lengths, dtype=np.int64)])
    np.save(part / "offsets.npy", offsets, allow_pickle=False)
    np.save(part / CHECKSUMS, np.array(packed.sums, np.uint32), allow_pickle=False)
    write_text(part / "utterances.txt", "".join(f"{u}\n" for u in packed.utterances))
    write_text(part / "speakers.txt", "".join(f"{s}\n" for s in packed.speakers))


def _mismatch(num_frames: int, pdfs: np.ndarray | None) -> str:
    """Return why an utterance's labels do not fit its features; "" if they fit."""
    if pdfs is None or not len(pdfs):
        return "no alignment"
    if abs(len(pdfs) - num_frames) <= _TOLERANCE:
        return ""
    for factor in _SUBSAMPLED:
        if len(pdfs) > _TOLERANCE and abs(-(-num_frames // factor) - len(pdfs)) <= 1:
            return (
                f"{num_frames} feature frames but {len(pdfs)} aligned frames: one label for "
                f"{factor} frames, as chain models align (frame_subsampling_factor); align with a "
                "GMM system"
            )
    return (
        f"{num_frames} feature frames but {len(pdfs)} aligned frames "
        f"(at most {_TOLERANCE} may differ; are frame shift and segments the same?)"
    )


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
    narrow = _narrow(f"{packed.origin}: utterance {utterance.id}", matrix[:length], dtype)
    if packed.dim not in (0, matrix.shape[1]):
        raise InputError(
            f"{packed.origin}: utterance {utterance.id}: features of {matrix.shape[1]} dimensions",
            expected=f"{packed.dim}, as in the utterances before it",
            remedy="extract the features of all utterances with the same options",
        )
    packed.dim = matrix.shape[1]
    pdf = np.zeros(0, np.int32) if pdfs is None else pdfs[:length].astype(np.int32)
    narrow = np.ascontiguousarray(narrow)
    frames.write(narrow.tobytes())
    labels.write(pdf.tobytes())
    packed.sums.append((crc32(narrow), crc32(pdf)))
    packed.utterances.append(utterance.id)
    packed.speakers.append(utterance.speaker)
    packed.lengths.append(length)


def _narrow(place: str, matrix: np.ndarray, dtype: np.dtype[Any]) -> np.ndarray:
    """Return the features in the store's precision, after checking that they are finite."""
    with np.errstate(over="ignore"):
        narrow: np.ndarray = matrix.astype(dtype)
    wrong = np.argwhere(~np.isfinite(narrow))
    if not len(wrong):
        return narrow
    frame, dimension = wrong[0].tolist()
    value = matrix[frame, dimension]
    raise InputError(
        f"{place}: value {value:g} in frame {frame}, dimension {dimension}",
        expected=f"normalised features, finite in {dtype.name}",
        remedy="set features.dtype=float32, and look at its audio"
        if np.isfinite(value)
        else "look at its audio and extract the features again",
    )
