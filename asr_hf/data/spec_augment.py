"""Hides frequency bands and spans of time of the training features (Park et al. 2019)."""

from __future__ import annotations

import torch
from torch import Tensor

from asr_hf.data.frame_draws import FrameDraws
from asr_hf.data.split_mix import GOLDEN, mixed, shifted
from asr_hf.runtime.errors import InputError

# Streams of random numbers; those of dropout count hidden layers from 0.
_STREAM = 1 << 16


class SpecAugment:
    """Hides bands of an utterance's mel bins, and spans of its frames (Park et al. 2019).

    All widths are uniform from 0 to the widest. Bands are those of the utterance; spans lie one in
    each stretch of frames, so that long utterances have as many for their length as short ones.
    What is hidden follows from the draws alone: the same in every window, chunk and process.

    Args:
        bands: number of bands of an utterance.
        band_width: the most mel bins of a band.
        span_every: number of frames of a stretch.
        span_width: the most frames of a span; 0 hides none.

    Raises:
        InputError: a value is out of range.
    """

    def __init__(
        self, bands: int = 2, band_width: int = 8, span_every: int = 100, span_width: int = 20
    ) -> None:
        if bands < 0 or band_width < 0 or not 0 <= span_width <= span_every or span_every < 1:
            raise InputError(
                f"augment: bands={bands}, band_width={band_width}, span_every={span_every}, "
                f"span_width={span_width}",
                expected="none below 0, and span_width of span_every at most",
            )
        self.bands, self.band_width = bands, band_width
        self.span_every, self.span_width = span_every, span_width

    def hidden(self, draws: FrameDraws, starts: Tensor, frames: Tensor, dim: int) -> Tensor:
        """See `Augmentation`."""
        bins = torch.arange(dim, device=frames.device)
        hidden = torch.zeros(len(frames), dim, dtype=torch.bool, device=frames.device)
        for band in range(self.bands):
            width = _uniform(draws.at(starts, _STREAM + 2 * band), min(self.band_width, dim))
            first = _uniform(draws.at(starts, _STREAM + 2 * band + 1), dim - width)
            hidden |= _within(bins, first[:, None], width[:, None])
        if self.span_width:
            stretch, place = _divided(frames - starts, self.span_every)
            # Numbers of the stretches: words that the stretch's own number tells apart.
            word = mixed(draws.at(starts, _STREAM - 1) + stretch * GOLDEN)
            width = _uniform(word, self.span_width)
            first = _uniform(mixed(word), self.span_every - width)
            hidden |= _within(place, first, width)[:, None]
        return hidden


def _within(place: Tensor, first: Tensor, width: Tensor) -> Tensor:
    return (place >= first) & (place < first + width)


def _divided(number: Tensor, by: int) -> tuple[Tensor, Tensor]:
    quotient = torch.div(number, by, rounding_mode="floor")
    return quotient, number - quotient * by


def _uniform(word: Tensor, most: int | Tensor) -> Tensor:
    """Make whole numbers from 0 to `most` of words of 64 random bits [K]."""
    return (shifted(word, 33) * (most + 1)) >> 31
