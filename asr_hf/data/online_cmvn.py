"""Normalisation of each frame over the frames before it, as Kaldi's online CMVN does it.

It needs no end of the utterance, so that live decoders (Kaldi's online2) can do the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from asr_hf.data.kaldi_dir import Utterance
from asr_hf.runtime.errors import InputError

# Kaldi's smallest variance.
_FLOOR = 1e-20


@dataclass(frozen=True)
class OnlineCmvnOptions:
    """Options of online CMVN, under Kaldi's names.

    Args:
        cmn_window: number of frames that the mean is taken over, the present one last.
        speaker_frames: most frames of the speaker's earlier utterances that stand in for frames
            that the window still lacks.
        global_frames: most frames of the training set that stand in after these.
        norm_vars: whether variances are normalised, and not only means.

    Raises:
        InputError: there is no such window.
    """

    cmn_window: int = 600
    speaker_frames: int = 0
    global_frames: int = 200
    norm_vars: bool = False

    def __post_init__(self) -> None:
        counts = (self.cmn_window, self.speaker_frames, self.global_frames)
        if self.cmn_window < 1 or min(counts) < 0 or self.speaker_frames > self.cmn_window:
            raise InputError(
                f"features.online_cmvn: cmn_window={self.cmn_window}, speaker_frames="
                f"{self.speaker_frames}, global_frames={self.global_frames}",
                expected="a window of a frame or more, and from 0 to as many frames of the speaker",
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the options as fbank.json and artefacts hold them."""
        return asdict(self)


@dataclass(frozen=True)
class OnlineCmvn:
    """Online CMVN with the statistics of a training set.

    Args:
        options: options of the normalisation.
        global_stats: Kaldi's statistics of the training set [2, D+1].
    """

    options: OnlineCmvnOptions
    global_stats: np.ndarray

    @classmethod
    def of(cls, about: Mapping[str, Any]) -> OnlineCmvn:
        """Return the normalisation that fbank.json describes.

        Raises:
            ValueError: the description is damaged.
            InputError: there is no such window.
        """
        options = about.get("online_cmvn")
        known = OnlineCmvnOptions().to_dict()
        if not isinstance(options, dict) or options.keys() != known.keys():
            raise ValueError(f"online_cmvn is {str(options)[:80]}")
        if any(type(value) is not type(known[key]) for key, value in options.items()):
            raise ValueError(f"online_cmvn is {str(options)[:80]}")
        try:
            stats = np.asarray(about.get("global_stats"), np.float64)
        except (TypeError, ValueError):
            stats = np.zeros(0)
        if stats.ndim != 2 or len(stats) != 2 or not np.isfinite(stats).all() or stats[0, -1] <= 0:
            raise ValueError("global_stats are not finite sums over frames")
        return cls(OnlineCmvnOptions(**options), stats)

    def to_dict(self) -> dict[str, Any]:
        """Return what `of` takes."""
        stats = self.global_stats.tolist()
        return {"online_cmvn": self.options.to_dict(), "global_stats": stats}

    def apply(self, features: np.ndarray, speaker_stats: np.ndarray | None = None) -> np.ndarray:
        """Normalise each frame over the window that ends with it.

        Where fewer frames than the window's came before, the speaker's earlier ones stand in, then
        the training set's (Kaldi's OnlineCmvn). No frame depends on a later one.

        Args:
            features: features of one utterance [F, D].
            speaker_stats: Kaldi's statistics of the speaker's earlier utterances [2, D+1]; None
                where there are none.

        Returns:
            The normalised features [F, D], float32.
        """
        options, wide = self.options, features.astype(np.float64)
        ends = np.arange(1, len(wide) + 1)
        starts = np.maximum(ends - options.cmn_window, 0)
        count = (ends - starts).astype(np.float64)
        weights = []
        for stats, most in (
            (speaker_stats, options.speaker_frames),
            (self.global_stats, options.global_frames),
        ):
            if stats is None or not most:
                continue
            # The training set's statistics stand for as many frames as are asked for; a speaker's
            # earlier utterances only for those that there were.
            limit = min(most, stats[0, -1]) if stats is speaker_stats else most
            taken = np.clip(options.cmn_window - count, 0, limit)
            weights.append((stats, taken / stats[0, -1]))
            count = count + taken
        mean = self._window(wide, starts, ends, weights, 0) / count[:, None]
        normalised = wide - mean
        if options.norm_vars:
            square = self._window(np.square(wide), starts, ends, weights, 1) / count[:, None]
            normalised /= np.sqrt(np.maximum(square - mean**2, _FLOOR))
        return normalised.astype(np.float32)

    @staticmethod
    def _window(
        values: np.ndarray,
        starts: np.ndarray,
        ends: np.ndarray,
        weights: list[tuple[np.ndarray, np.ndarray]],
        row: int,
    ) -> np.ndarray:
        """Sum values [F, D] over each frame's window, with what stands in for frames it lacks."""
        sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
        window: np.ndarray = sums[ends] - sums[starts]
        for stats, weight in weights:
            window += weight[:, None] * stats[row, :-1]
        return window


def earlier_stats(
    utterances: Iterable[Utterance], stats: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Add up the statistics of each speaker's utterances before each one, in the order given.

    Args:
        utterances: utterances in the order in which they were spoken.
        stats: Kaldi's statistics of each utterance [2, D+1]; others are left out.

    Returns:
        The statistics by utterance; a speaker's first utterance has none.
    """
    so_far: dict[str, np.ndarray] = {}
    before: dict[str, np.ndarray] = {}
    for utterance in utterances:
        if utterance.id not in stats:
            continue
        known = so_far.get(utterance.speaker)
        if known is not None:
            before[utterance.id] = known
        so_far[utterance.speaker] = stats[utterance.id] + (0 if known is None else known)
    return before
