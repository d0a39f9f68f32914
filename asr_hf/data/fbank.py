"""Computes log-mel filterbank features, equal to those of Kaldi's compute-fbank-feats."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
import torchaudio.compliance.kaldi as kaldi
from torch import Tensor

from asr_hf.runtime.errors import InputError

WINDOWS = ("hamming", "hanning", "povey", "blackman", "rectangular")


@dataclass(frozen=True)
class FbankOptions:
    """The options of the filterbank, under Kaldi's names.

    Args:
        sample_rate: sample rate of the audio (Hz).
        num_mel_bins: number of filters.
        low_freq: lower edge of the first filter (Hz).
        high_freq: upper edge of the last filter (Hz); 0 or less counts from the Nyquist frequency.
        window: shape of the window: hamming, hanning, povey, blackman or rectangular.
        frame_length: length of the window (ms).
        frame_shift: shift between frames (ms).
        preemphasis: coefficient of the preemphasis, in [0, 1].

    Raises:
        InputError: the filters lie outside the spectrum or are too many for it, or there can be no
            such windows.
    """

    sample_rate: int = 8000
    num_mel_bins: int = 40
    low_freq: float = 20.0
    high_freq: float = 0.0
    window: str = "hamming"
    frame_length: float = 25.0
    frame_shift: float = 10.0
    preemphasis: float = 0.97

    def __post_init__(self) -> None:
        upper = self.high_freq + (self.sample_rate / 2 if self.high_freq <= 0 else 0)
        checks = {
            f"features.sample_rate={self.sample_rate}": self.sample_rate > 0,
            f"features.low_freq={self.low_freq:g} and high_freq={self.high_freq:g}": (
                0 <= self.low_freq < upper <= self.sample_rate / 2
            ),
            f"features.frame_length={self.frame_length:g}": self.window_samples >= 2,
            f"features.frame_shift={self.frame_shift:g}": (
                int(self.sample_rate * self.frame_shift / 1000) > 0
            ),
            f"features.preemphasis={self.preemphasis:g}": 0 <= self.preemphasis <= 1,
            f"features.window={self.window}": self.window in WINDOWS,
        }
        for setting, valid in checks.items():
            if not valid:
                raise InputError(
                    f"{setting} cannot be",
                    expected=f"0 <= low_freq < high_freq <= {self.sample_rate / 2:g} Hz, windows "
                    f"and hops of some samples, one of {', '.join(WINDOWS)}",
                )
        if not _filters_hold_bins(self, upper):
            raise InputError(
                f"features.num_mel_bins={self.num_mel_bins}: filters narrower than one bin of "
                f"the spectrum of {self.frame_length:g} ms",
                expected="at least 4 filters, each with a bin in it",
                remedy="take fewer filters, a wider range of frequencies or longer windows",
            )

    @property
    def window_samples(self) -> int:
        """The number of samples of one window."""
        return int(self.sample_rate * self.frame_length * 0.001)

    def to_dict(self) -> dict[str, Any]:
        """Return the options as fbank.json holds them."""
        return asdict(self)


def fbank(waveform: Tensor, options: FbankOptions) -> Tensor:
    """Compute log-mel energies, without dither.

    The values differ from Kaldi's by less than 1e-3, with one exception: in filters with next to no
    energy beside loud ones (one value in 10^5 of real recordings, with Povey or Hann windows) by up
    to 4e-3, because the rounding of both float32 transforms grows with the loudest filter.

    Args:
        waveform: samples [N] in the range of 16-bit integers.
        options: options of the filterbank.

    Returns:
        Log-mel energies [F, num_mel_bins], float32; F is 0 if the waveform is shorter than a
        window.
    """
    if len(waveform) < options.window_samples:
        return torch.empty(0, options.num_mel_bins)
    features: Tensor = kaldi.fbank(
        waveform[None],
        sample_frequency=float(options.sample_rate),
        num_mel_bins=options.num_mel_bins,
        low_freq=options.low_freq,
        high_freq=options.high_freq,
        window_type=options.window,
        frame_length=options.frame_length,
        frame_shift=options.frame_shift,
        preemphasis_coefficient=options.preemphasis,
        dither=0.0,
    )
    return features


def _filters_hold_bins(options: FbankOptions, upper: float) -> bool:
    if options.num_mel_bins <= 3:
        return False
    padded = 1 << (options.window_samples - 1).bit_length()
    banks, _ = kaldi.get_mel_banks(
        options.num_mel_bins,
        padded,
        float(options.sample_rate),
        options.low_freq,
        upper,
        vtln_low=100.0,
        vtln_high=-500.0,
        vtln_warp_factor=1.0,
    )
    return bool((banks.sum(1) > 0).all())
