"""Linear transforms of features: LDA and MLLT for all, and fMLLR for each speaker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from asr_hf.data.ark import read_ark
from asr_hf.data.kaldi_dir import Utterance
from asr_hf.kaldi.alignments import has_numbered, numbered_files
from asr_hf.kaldi.context import Matrix, add_deltas, splice_frames
from asr_hf.kaldi.options import read_delta_options, read_splice_options
from asr_hf.kaldi.reader import KaldiReader
from asr_hf.runtime.errors import InputError

# What Kaldi's scripts take from the folder of a system.
_SYSTEM = ("final.mat", "splice_opts", "delta_opts", "cmvn_opts")


class _LoadedTransform(NamedTuple):
    """A transform, and the file that it was read from."""

    matrix: Matrix
    file: Path


# By speaker or utterance: A [D', D] or [A b] [D', D + 1], x -> A x + b.
_TransformTable = dict[str, _LoadedTransform]


@dataclass(frozen=True)
class FeatureTransforms:
    """The transforms of a GMM system with LDA+MLLT and speaker adaptation.

    Args:
        path: folder or ark that they were read from.
        by_speaker: fMLLR, the last transform; empty without.
        raw: raw fMLLR, the first transform; empty without.
        common: transform of spliced features, between the two; None without.
        context: numbers of frames to the left and to the right that are spliced for it.
        deltas: order and window of the differences that fMLLR was estimated on where there is no
            common transform; None where nothing is known of them.
    """

    path: Path
    by_speaker: _TransformTable
    raw: _TransformTable = field(default_factory=dict)
    common: Matrix | None = None
    context: tuple[int, int] = (0, 0)
    deltas: tuple[int, int] | None = None

    @classmethod
    def open(cls, paths: Sequence[Path]) -> FeatureTransforms:
        """Read the transforms of one or more folders, or arks, of one system.

        Returns:
            The transforms of all speakers.

        Raises:
            InputError: there are none, they are damaged, of several systems, or a speaker has two.
        """
        first, *others = [_read_one(path) for path in paths]
        for other in others:
            _check_same_system(first, other)
            raw = _joined(first.raw, other.raw)
            first = replace(first, by_speaker=_joined(first.by_speaker, other.by_speaker), raw=raw)
        return first

    def apply(self, utterance: Utterance, features: Matrix) -> Matrix:
        """Transform an utterance's normalised features [F, D].

        Returns:
            The transformed features [F, D'].

        Raises:
            InputError: its speaker has no transform, or one of another dimension.
        """
        if self.raw:
            features = self._adapted(self.raw, utterance, features)
        if self.common is not None:
            name = f"{self.path}: the transform of all"
            features = _transform(self.common, splice_frames(features, *self.context), name)
        if not self.by_speaker:
            return features
        if self.common is None and self.deltas is not None:
            dim, (order, window) = features.shape[1], self.deltas
            columns = next(iter(self.by_speaker.values())).matrix.shape[1]
            if columns not in (dim, dim + 1) and columns - dim * (order + 1) in (0, 1):
                features = add_deltas(features, order, window)
        return self._adapted(self.by_speaker, utterance, features)

    def _adapted(self, table: _TransformTable, utterance: Utterance, features: Matrix) -> Matrix:
        for key in (utterance.id, utterance.speaker):
            if key in table:
                transform = table[key]
                return _transform(
                    transform.matrix, features, f"{transform.file}: the transform of {key}"
                )
        raise InputError(
            f"{self.path}: no transform of speaker {utterance.speaker} (utterance {utterance.id})",
            expected="a transform of every speaker or utterance",
            remedy="estimate them for this set too (Kaldi's align_fmllr.sh or decode_fmllr.sh) and "
            "name both folders: features.transforms=[exp/tri4_ali,exp/tri4/decode_dev]",
        )


def system_folder(path: Path) -> Path:
    """Find the folder of final.mat and options: the folder itself or, for decoding, its parent."""
    inside, above = (
        any((folder / name).is_file() for name in ("final.mdl", "final.mat"))
        for folder in (path, path.parent)
    )
    return path.parent if above and not inside else path


def option_file(path: Path, name: str) -> Path:
    """Find a file of options of a folder: its own, or that of its system."""
    return path / name if (path / name).is_file() else system_folder(path) / name


def unapplied_transforms(path: Path) -> list[str]:
    """Name the transforms and options of a folder of alignments; its features may lack them."""
    names = ("final.mat", "splice_opts", "delta_opts", "trans.1", "raw_trans.1")
    return [name for name in names if (path / name).is_file()]


def transform_files(paths: Sequence[Path]) -> list[Path]:
    """List all existing files that transforms may be read from."""
    files = []
    for path in paths:
        if path.is_dir():
            files += sorted([*path.glob("trans.*"), *path.glob("raw_trans.*")])
            files += [option_file(path, name) for name in _SYSTEM]
        else:
            files.append(path)
    return [file for file in dict.fromkeys(files) if file.is_file()]


def _read_one(path: Path) -> FeatureTransforms:
    if not path.is_dir():
        return FeatureTransforms(path, _read([path]))
    mat, common = option_file(path, "final.mat"), None
    if mat.is_file():
        common = KaldiReader.open(mat).matrix("an LDA transform")
    raw, each = (
        _read(numbered_files(path, stem)) if has_numbered(path, stem) else {}
        for stem in ("raw_trans", "trans")
    )
    if not each and not raw and (common is None or mat.parent != path):
        raise InputError(
            f"{path}: no transforms",
            expected="trans.1, trans.2 ... (fMLLR), raw_trans.1 ... (raw fMLLR), or final.mat",
            remedy="features.transforms=exp/tri4_ali, for example",
        )
    context = read_splice_options(option_file(path, "splice_opts"))
    deltas = read_delta_options(option_file(path, "delta_opts"))
    return FeatureTransforms(path, each, raw, common, context, deltas)


def _check_same_system(first: FeatureTransforms, other: FeatureTransforms) -> None:
    """Refuse transforms that would make unlike features of two sets.

    Raises:
        InputError: they are of different systems.
    """
    difference = ""
    if not _same(first.common, other.common):
        difference = "another final.mat, or none"
    elif first.common is not None and first.context != other.context:
        difference = f"splice_opts of {other.context} frames, not {first.context}"
    elif first.common is None and first.deltas != other.deltas:
        difference = "other delta_opts"
    elif (bool(first.by_speaker), bool(first.raw)) != (bool(other.by_speaker), bool(other.raw)):
        difference = "speakers are transformed otherwise (trans.*, raw_trans.*)"
    if difference:
        raise InputError(
            f"{other.path}: {difference}",
            expected=f"transforms of the same system as {first.path}",
            remedy="name folders of one system in features.transforms",
        )


def _same(first: Matrix | None, second: Matrix | None) -> bool:
    return first is second or (
        first is not None and second is not None and np.array_equal(first, second)
    )


def _joined(first: _TransformTable, other: _TransformTable) -> _TransformTable:
    for key in first.keys() & other.keys():
        known, repeated = first[key], other[key]
        if not np.array_equal(known.matrix, repeated.matrix):
            raise InputError(
                f"{repeated.file}: the transform of {key}: there is another one in {known.file}",
                expected="one transform of each speaker or utterance",
                remedy="name folders of different speakers in features.transforms",
            )
    return first | other


def _transform(matrix: Matrix, features: Matrix, name: str) -> Matrix:
    columns, dim = matrix.shape[1], features.shape[1]
    if columns not in (dim, dim + 1):
        raise InputError(
            f"{name} is {list(matrix.shape)}",
            expected=f"{dim} or {dim + 1} columns for features of {dim} dimensions",
            remedy="use the features that the transforms were estimated on",
        )
    moved = features @ matrix[:, :dim].T
    if columns > dim:
        moved = moved + matrix[:, dim]
    return moved.astype(np.float32)


def _read(files: list[Path]) -> _TransformTable:
    transforms: _TransformTable = {}
    for file in files:
        for key, matrix in read_ark(file):
            if key in transforms or matrix.ndim != 2 or not np.isfinite(matrix).all():
                problem = "twice" if key in transforms else "no finite matrix"
                raise InputError(f"{file}: the transform of {key}: {problem}")
            transforms[key] = _LoadedTransform(matrix, file)
    return transforms
