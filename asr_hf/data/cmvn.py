"""Cepstral mean and variance normalisation (CMVN), with Kaldi's statistics."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from asr_hf.data.ark import ArkReader
from asr_hf.data.kaldi_dir import Utterance
from asr_hf.data.online_cmvn import OnlineCmvn
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json


class CmvnMode(StrEnum):
    """The frames over which statistics are pooled.

    Those of an utterance, of a speaker, those just before each frame, or none.
    """

    UTTERANCE = "utterance"
    SPEAKER = "speaker"
    ONLINE = "online"
    NONE = "none"

    def key(self, utterance: Utterance) -> str:
        """Return the key of an utterance's statistics."""
        return utterance.speaker if self is CmvnMode.SPEAKER else utterance.id


def cmvn_stats(features: np.ndarray) -> np.ndarray:
    """Return Kaldi's CMVN statistics [2, D+1] of features [F, D], float64.

    The first row holds the sums and the number of frames, the second row the sums of squares.
    """
    wide = features.astype(np.float64)
    stats = np.zeros((2, features.shape[1] + 1))
    stats[0, :-1], stats[0, -1] = wide.sum(0), len(wide)
    stats[1, :-1] = np.square(wide).sum(0)
    return stats


@dataclass(frozen=True)
class CmvnOptions:
    """The options of Kaldi's apply-cmvn.

    Args:
        norm_vars: whether variances are normalised, and not only means.
        reverse: whether features are given the mean (and variance) of the statistics instead.
        skip_dims: numbers of dimensions that stay as they are.
    """

    norm_vars: bool = True
    reverse: bool = False
    skip_dims: tuple[int, ...] = ()


def apply_cmvn(
    features: np.ndarray, stats: np.ndarray, options: CmvnOptions | None = None
) -> np.ndarray:
    """Normalise features [F, D] to zero mean and unit variance over `stats` [2, D+1].

    Args:
        features: features of one utterance [F, D].
        stats: Kaldi's statistics; the second row may be missing if variances stay.
        options: Kaldi's options; None for the defaults.

    Returns:
        The normalised features [F, D], float32.
    """
    options = options or CmvnOptions()
    skipped = list(options.skip_dims)
    mean = stats[0, :-1] / stats[0, -1]
    mean[skipped] = 0
    scale = np.ones_like(mean)
    if options.norm_vars:
        scale = np.sqrt(np.maximum(stats[1, :-1] / stats[0, -1] - mean**2, 1e-10))
        scale[skipped] = 1
    if options.reverse:
        denormalised: np.ndarray = (features * scale + mean).astype(np.float32)
        return denormalised
    normalised: np.ndarray = ((features - mean) / scale).astype(np.float32)
    return normalised


@dataclass(frozen=True)
class CmvnSource:
    """The normalisation that belongs to a feature folder.

    Args:
        mode: what statistics are pooled over.
        stats: archive of the statistics, with online CMVN of each speaker's earlier utterances;
            None where none are needed.
        options: Kaldi's options.
        online: online CMVN; None with other modes.
    """

    mode: CmvnMode
    stats: ArkReader | None
    options: CmvnOptions = CmvnOptions()
    online: OnlineCmvn | None = None

    @classmethod
    def open(cls, feature_folder: Path, allow_pipes: bool = False) -> CmvnSource:
        """Open the statistics of a feature folder.

        Args:
            feature_folder: folder that `extract_features` has written, or that links to Kaldi's
                files.
            allow_pipes: whether commands in cmvn.scp are run in a shell.

        Returns:
            The normalisation.

        Raises:
            InputError: a file is missing or damaged.
        """
        path = feature_folder / "fbank.json"
        description = read_json(path)
        name = description.get("cmvn") if isinstance(description, dict) else None
        if name not in list(CmvnMode):
            raise InputError(
                f"{path}: CMVN is {str(name)[:80]!r}",
                expected=f"one of {', '.join(CmvnMode)}",
                remedy="run asr-hf features again",
            )
        mode = CmvnMode(name)
        if mode is CmvnMode.ONLINE:
            return cls._online(path, description, allow_pipes)
        stats = (
            None if mode is CmvnMode.NONE else ArkReader(feature_folder / "cmvn.scp", allow_pipes)
        )
        skipped = description.get("skip_dims", [])
        if not isinstance(skipped, list) or not all(type(d) is int and d >= 0 for d in skipped):
            raise InputError(
                f"{path}: skip_dims is {str(skipped)[:80]}",
                expected="a list of dimensions",
                remedy="run asr-hf features again",
            )
        norm_vars, reverse = description.get("norm_vars", True), description.get("reverse", False)
        return cls(mode, stats, CmvnOptions(bool(norm_vars), bool(reverse), tuple(skipped)))

    @classmethod
    def _online(cls, path: Path, description: dict[str, Any], allow_pipes: bool) -> CmvnSource:
        try:
            online = OnlineCmvn.of(description)
        except ValueError as error:
            raise InputError(
                f"{path}: {error}",
                expected="options of online CMVN and statistics of the training set",
                remedy="run asr-hf features again",
            ) from error
        earlier = path.with_name("cmvn.scp") if online.options.speaker_frames else None
        stats = None if earlier is None else ArkReader(earlier, allow_pipes)
        return cls(CmvnMode.ONLINE, stats, online=online)

    def apply(self, utterance: Utterance, features: np.ndarray) -> np.ndarray:
        """Normalise an utterance's features.

        Args:
            utterance: the utterance.
            features: its features [F, D].

        Returns:
            The normalised features [F, D].

        Raises:
            InputError: the statistics are missing, damaged or of another dimension.
        """
        key = self.mode.key(utterance)
        if self.online is not None:
            self._check(utterance, key, self.online.global_stats, features)
            earlier = None if self.stats is None or key not in self.stats else self.stats[key]
            if earlier is not None:
                self._check(utterance, key, earlier, features)
            return self.online.apply(features, earlier)
        if self.stats is None:
            return features
        if key not in self.stats:
            raise InputError(
                f"{self.stats.path}: no CMVN statistics of {key} (utterance {utterance.id})",
                remedy="run asr-hf features again",
            )
        stats = self.stats[key]
        self._check(utterance, key, stats, features)
        return apply_cmvn(features, stats, self.options)

    def _check(
        self, utterance: Utterance, key: str, stats: np.ndarray, features: np.ndarray
    ) -> None:
        """Refuse statistics that do not fit an utterance's features.

        Raises:
            InputError: they are damaged or of another dimension.
        """
        place = "fbank.json" if self.stats is None else str(self.stats.path)
        dim, rows = features.shape[1], (2,) if self.options.norm_vars else (1, 2)
        if stats.ndim != 2 or stats.shape[0] not in rows or stats.shape[1] != dim + 1:
            raise InputError(
                f"{place}: statistics of {key} are {stats.shape}",
                expected=f"(2, {dim + 1}) for utterance {utterance.id}",
                remedy="run asr-hf features again",
            )
        if any(skipped >= dim for skipped in self.options.skip_dims):
            raise InputError(
                f"cmvn_opts: --skip-dims={':'.join(map(str, self.options.skip_dims))}",
                expected=f"dimensions from 0 to {dim - 1}, as those of utterance {utterance.id}",
                remedy="use the features that these options were made for",
            )
        if not np.isfinite(stats).all() or stats[0, -1] <= 0:
            raise InputError(
                f"{place}: statistics of {key}: {stats[0, -1]} frames, or not finite",
                expected=f"finite sums over frames for utterance {utterance.id}",
                remedy="run asr-hf features again",
            )
