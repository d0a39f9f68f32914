"""Cepstral mean and variance normalisation, with Kaldi's statistics."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from asr_hf.data.ark import ArkReader
from asr_hf.data.kaldi_dir import Utterance
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json


class CmvnMode(StrEnum):
    """Over what statistics are pooled."""

    UTTERANCE = "utterance"
    SPEAKER = "speaker"
    NONE = "none"

    def key(self, utterance: Utterance) -> str:
        """The key of an utterance's statistics."""
        return utterance.speaker if self is CmvnMode.SPEAKER else utterance.id


def cmvn_stats(features: np.ndarray) -> np.ndarray:
    """Kaldi's statistics [2, D+1] float64 of features [F, D]: sums and count, sums of squares."""
    wide = features.astype(np.float64)
    stats = np.zeros((2, features.shape[1] + 1))
    stats[0, :-1], stats[0, -1] = wide.sum(0), len(wide)
    stats[1, :-1] = np.square(wide).sum(0)
    return stats


def apply_cmvn(features: np.ndarray, stats: np.ndarray, norm_vars: bool = True) -> np.ndarray:
    """Normalise features [F, D] to zero mean and unit variance over `stats` [2, D+1].

    Args:
        features: of one utterance.
        stats: Kaldi's statistics.
        norm_vars: whether variances are normalised, and not only means.
    """
    count = stats[0, -1]
    mean = stats[0, :-1] / count
    if not norm_vars:
        centred: np.ndarray = (features - mean).astype(np.float32)
        return centred
    variance = np.maximum(stats[1, :-1] / count - mean**2, 1e-10)
    normalised: np.ndarray = ((features - mean) / np.sqrt(variance)).astype(np.float32)
    return normalised


@dataclass(frozen=True)
class CmvnSource:
    """The normalisation that belongs to a feature folder."""

    mode: CmvnMode
    stats: ArkReader | None
    norm_vars: bool = True

    @classmethod
    def open(cls, feature_folder: Path, allow_pipes: bool = False) -> CmvnSource:
        """Open what `extract_features` wrote beside the features, or links to Kaldi's files.

        Raises:
            InputError: a file is missing or damaged.
        """
        path = feature_folder / "fbank.json"
        about = read_json(path)
        name = about.get("cmvn") if isinstance(about, dict) else None
        if name not in list(CmvnMode):
            raise InputError(
                f"{path}: CMVN is {str(name)[:80]!r}",
                expected=f"one of {', '.join(CmvnMode)}",
                remedy="run asr-hf features again",
            )
        mode = CmvnMode(name)
        stats = (
            None if mode is CmvnMode.NONE else ArkReader(feature_folder / "cmvn.scp", allow_pipes)
        )
        return cls(mode, stats, bool(about.get("norm_vars", True)))

    def apply(self, utterance: Utterance, features: np.ndarray) -> np.ndarray:
        """Normalise an utterance's features [F, D].

        Raises:
            InputError: its statistics are missing, damaged or of another dimension.
        """
        if self.stats is None:
            return features
        key = self.mode.key(utterance)
        if key not in self.stats:
            raise InputError(
                f"{self.stats.path}: no CMVN statistics of {key} (utterance {utterance.id})",
                remedy="run asr-hf features again",
            )
        stats = self.stats[key]
        if stats.shape != (2, features.shape[1] + 1):
            raise InputError(
                f"{self.stats.path}: statistics of {key} are {stats.shape}",
                expected=f"(2, {features.shape[1] + 1}) for utterance {utterance.id}",
                remedy="run asr-hf features again",
            )
        if not np.isfinite(stats).all() or stats[0, -1] <= 0:
            raise InputError(
                f"{self.stats.path}: statistics of {key}: {stats[0, -1]} frames, or not finite",
                expected=f"finite sums over frames for utterance {utterance.id}",
                remedy="run asr-hf features again",
            )
        return apply_cmvn(features, stats, self.norm_vars)
