"""Linear transforms of features: LDA and MLLT for all, and fMLLR for each speaker."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.ark import read_ark
from asr_hf.data.kaldi_dir import Utterance
from asr_hf.kaldi.alignments import numbered_files
from asr_hf.kaldi.reader import KaldiReader
from asr_hf.runtime.errors import InputError

Matrix = NDArray[np.floating[Any]]
# Kaldi's own default where LDA is estimated without splice_opts.
_SPLICE = 4


@dataclass(frozen=True)
class FeatureTransforms:
    """What a GMM system with LDA+MLLT and speaker adaptation does to its features.

    Args:
        path: where they were found.
        by_speaker: speaker or utterance -> A [D', D] or [A b] [D', D + 1]: x -> A x + b.
        common: the transform of spliced features that goes before; None without.
        context: frames to the left and to the right that are spliced for it.
    """

    path: Path
    by_speaker: Mapping[str, Matrix]
    common: Matrix | None = None
    context: tuple[int, int] = (_SPLICE, _SPLICE)

    @classmethod
    def open(cls, path: Path) -> FeatureTransforms:
        """Read an ark of transforms, or a folder of trans.*, final.mat and splice_opts.

        Raises:
            InputError: there are none, or they are damaged.
        """
        if not path.is_dir():
            return cls(path, _read([path]))
        common = None
        if (path / "final.mat").is_file():
            common = KaldiReader.open(path / "final.mat").matrix("an LDA transform")
        numbers = sorted(path.glob("trans.*"))
        if not numbers and common is None:
            raise InputError(f"{path}: no transforms", expected="trans.1, trans.2 ... or final.mat")
        files = numbered_files(path, "trans") if numbers else []
        return cls(path, _read(files), common, _context(path / "splice_opts"))

    def apply(self, utterance: Utterance, features: Matrix) -> Matrix:
        """Transform an utterance's normalised features [F, D] into [F, D'].

        Raises:
            InputError: its speaker has no transform, or one of another dimension.
        """
        if self.common is not None:
            features = _transform(self.common, _splice(features, *self.context), self._name("all"))
        if not self.by_speaker:
            return features
        for key in (utterance.id, utterance.speaker):
            if key in self.by_speaker:
                return _transform(self.by_speaker[key], features, self._name(key))
        raise InputError(
            f"{self.path}: no transform of speaker {utterance.speaker} (utterance {utterance.id})",
            expected="a transform of every speaker or utterance",
            remedy="estimate them for this set too (Kaldi's align_fmllr.sh or decode_fmllr.sh)",
        )

    def _name(self, key: str) -> str:
        return f"{self.path}: the transform of {key}"


def _transform(matrix: Matrix, features: Matrix, what: str) -> Matrix:
    columns, dim = matrix.shape[1], features.shape[1]
    if columns not in (dim, dim + 1):
        raise InputError(
            f"{what} is {list(matrix.shape)}",
            expected=f"{dim} or {dim + 1} columns for features of {dim} dimensions",
            remedy="use the features that the transforms were estimated on",
        )
    moved = features @ matrix[:, :dim].T
    if columns > dim:
        moved = moved + matrix[:, dim]
    return moved.astype(np.float32)


def _splice(features: Matrix, left: int, right: int) -> Matrix:
    """Frames with their neighbours, the oldest first; edge frames are repeated."""
    at = np.arange(len(features))[:, None] + np.arange(-left, right + 1)
    spliced: Matrix = features[at.clip(0, len(features) - 1)].reshape(len(features), -1)
    return spliced


def _read(files: list[Path]) -> dict[str, Matrix]:
    found: dict[str, Matrix] = {}
    for file in files:
        for key, matrix in read_ark(file):
            if key in found or matrix.ndim != 2 or not np.isfinite(matrix).all():
                what = "twice" if key in found else "no finite matrix"
                raise InputError(f"{file}: the transform of {key}: {what}")
            found[key] = matrix
    return found


def _context(path: Path) -> tuple[int, int]:
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    left, right = (
        int(match[1])
        if (match := re.search(rf"--{side}-context=([0-9]{{1,3}})\b", text))
        else _SPLICE
        for side in ("left", "right")
    )
    return left, right
