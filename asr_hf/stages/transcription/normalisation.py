"""Normalises the features of a recording as a training normalised those of its corpus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.cmvn import CmvnMode, CmvnOptions, CmvnSource, apply_cmvn, cmvn_stats
from asr_hf.data.online_cmvn import OnlineCmvn

# Most frames of the training set that stand in for those which a recording lacks.
_MOST_PRIOR = 500.0
_DEFAULTS = CmvnOptions()


@dataclass(frozen=True)
class Normalisation:
    """Mean and variance normalisation of recordings that belong to no set.

    A recording of seconds says little about its speaker: statistics of a few words would be others
    than those of whole speakers. Where training's were such, its frames stand in for those that a
    recording lacks.

    Args:
        mode: what the training's statistics were pooled over.
        options: Kaldi's options.
        online: online CMVN; None with other modes.
        training: statistics of the training set [2, D+1], where they were of speakers.
        frames_of_speakers: mean number of frames of a speaker there.
    """

    mode: CmvnMode
    options: CmvnOptions = _DEFAULTS
    online: OnlineCmvn | None = None
    training: NDArray[np.float64] | None = None
    frames_of_speakers: float = 0.0

    @classmethod
    def of_training(cls, cmvn: CmvnSource) -> Normalisation:
        """Return the normalisation that goes with that of a training set."""
        if cmvn.mode is not CmvnMode.SPEAKER or cmvn.stats is None:
            return cls(cmvn.mode, cmvn.options, cmvn.online)
        total = np.sum([cmvn.stats[speaker] for speaker in cmvn.stats], axis=0)
        mean = float(total[0, -1]) / len(cmvn.stats)
        return cls(cmvn.mode, cmvn.options, None, total, mean)

    def apply(
        self, features: NDArray[np.float32], speech: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Normalise a recording.

        Args:
            features: all of its features [F, D].
            speech: which of them count in its statistics [F].

        Returns:
            The normalised features [F, D].
        """
        if self.mode is CmvnMode.NONE:
            return features
        if self.online is not None:
            return self.online.apply(features)
        stats = cmvn_stats(features[speech] if speech.any() else features)
        if self.training is not None:
            lacking = self.frames_of_speakers - stats[0, -1]
            weight = min(max(0.0, lacking), _MOST_PRIOR) / self.training[0, -1]
            stats += weight * self.training
        return apply_cmvn(features, stats, self.options)

    def to_dict(self) -> dict[str, Any]:
        """Return what `of` takes, as JSON values."""
        return {
            "mode": str(self.mode),
            "options": asdict(self.options),
            "online": None if self.online is None else self.online.to_dict(),
            "training": None if self.training is None else self.training.tolist(),
            "frames_of_speakers": self.frames_of_speakers,
        }

    @classmethod
    def of(cls, about: Mapping[str, Any], dim: int) -> Normalisation:
        """Return the normalisation that `to_dict` describes.

        Args:
            about: the description.
            dim: number of features of a frame D.

        Raises:
            ValueError: the description is damaged.
            InputError: there is no such online CMVN.
        """
        mode = CmvnMode(about["mode"])
        options = about["options"]
        skipped = options["skip_dims"]
        if not all(type(d) is int and 0 <= d < dim for d in skipped):
            raise ValueError(f"skip_dims are {str(skipped)[:80]}")
        flags = bool(options["norm_vars"]), bool(options["reverse"])
        online = None if about["online"] is None else OnlineCmvn.of(about["online"])
        if (online is None) != (mode is not CmvnMode.ONLINE):
            raise ValueError(f"mode {mode} with online CMVN {online is not None}")
        training = _statistics(about["training"], dim)
        if online is not None:
            _statistics(online.global_stats, dim)
        frames = float(about["frames_of_speakers"])
        if not 0 <= frames < np.inf:
            raise ValueError(f"frames_of_speakers is {frames}")
        return cls(mode, CmvnOptions(*flags, tuple(skipped)), online, training, frames)


def _statistics(values: Any, dim: int) -> NDArray[np.float64] | None:
    if values is None:
        return None
    stats = np.asarray(values, np.float64)
    if stats.shape != (2, dim + 1) or not np.isfinite(stats).all() or stats[0, -1] <= 0:
        raise ValueError(f"statistics of shape {stats.shape} are not finite sums over frames")
    return stats
