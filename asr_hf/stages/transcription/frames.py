"""Turns recordings into stretches of features, as those that a network was trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from asr_hf.data.fbank import FbankOptions, fbank
from asr_hf.data.pauses import cuts, level_samples, levels, outside_pauses
from asr_hf.runtime.errors import InputError
from asr_hf.stages.transcription.normalisation import Normalisation

# Share of a recording in long pauses from which on these do not count in its statistics: training's
# utterances have short ones.
_MANY_PAUSES = 1 / 3


@dataclass(frozen=True)
class Stretch:
    """A part of a recording that is recognised at once.

    Args:
        start: where it begins (seconds).
        features: normalised features [F, D].
    """

    start: float
    features: NDArray[np.float32]


@dataclass(frozen=True)
class Frontend:
    """Computes features as those of a training.

    Args:
        options: filterbank.
        normalisation: normalisation.
    """

    options: FbankOptions
    normalisation: Normalisation

    def stretches(self, name: str, samples: NDArray[np.float32], longest: float) -> list[Stretch]:
        """Cut a recording into stretches.

        Args:
            name: name of the recording, for messages.
            samples: its samples [N] at the sample rate of the training, in the range of 16-bit
                integers.
            longest: longest stretch (seconds).

        Returns:
            The stretches, in their order; none is shorter than a window.

        Raises:
            InputError: all samples are the same, or they are fewer than a window's.
        """
        rate = self.options.sample_rate
        if len(samples) and samples.min() == samples.max():
            raise InputError(
                f"{name}: silent: each of its samples is {samples[0]:g}",
                expected="speech",
                remedy="look at the recording, or take another of its channels",
            )
        level = levels(samples, rate)
        starts = [first * level_samples(rate) for first, _ in cuts(level, longest)]
        parts = np.split(samples, starts[1:])
        features = [fbank(torch.from_numpy(part), self.options).numpy() for part in parts]
        if not any(map(len, features)):
            raise InputError(
                f"{name}: {len(samples) / rate:.3f} s of audio",
                expected=f"at least a window of {self.options.frame_length:g} ms",
            )
        outside = outside_pauses(level)
        if outside.mean() > 1 - _MANY_PAUSES:
            outside[:] = True
        speech = [self._at(outside, s, len(f)) for s, f in zip(starts, features, strict=True)]
        whole = self.normalisation.apply(np.concatenate(features), np.concatenate(speech))
        ends = np.cumsum([len(part) for part in features])
        return [
            Stretch(start / rate, part)
            for start, part in zip(starts, np.split(whole, ends[:-1]), strict=True)
            if len(part)
        ]

    def _at(self, told: NDArray[np.bool_], start: int, frames: int) -> NDArray[np.bool_]:
        """Return what is told of each 10 ms [T], for the frames of a stretch [frames]."""
        rate = self.options.sample_rate
        shift, middle = self.options.frame_shift / 1000, self.options.frame_length / 2000
        middles = start + rate * (middle + shift * np.arange(frames))
        places = (middles / level_samples(rate)).astype(np.int64)
        return told[np.minimum(places, len(told) - 1)]
