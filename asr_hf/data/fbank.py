"""Log-mel filterbanks, equal to Kaldi's compute-fbank-feats."""

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
    """Options under Kaldi's names.

    Args:
        sample_rate: Hz.
        num_mel_bins: filters.
        low_freq: lower edge of the first filter (Hz).
        high_freq: upper edge of the last (Hz); 0 or less counts from the Nyquist frequency.
        window: hamming, hanning, povey, blackman or rectangular.
        frame_length: ms.
        frame_shift: ms.
        preemphasis: coefficient, in [0, 1].

    Raises:
        InputError: filters outside the spectrum, more than it can hold, or impossible windows.
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
        for found, good in checks.items():
            if not good:
                raise InputError(
                    f"{found} cannot be",
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
        """Samples of one window."""
        return int(self.sample_rate * self.frame_length * 0.001)

    def to_dict(self) -> dict[str, Any]:
        """As stored beside the features."""
        return asdict(self)


def fbank(waveform: Tensor, options: FbankOptions) -> Tensor:
    """Compute log-mel energies, without dither.

    Kaldi's values differ by less than 1e-3. Only in filters with next to no energy beside loud
    ones (one value in 10^5 of real recordings, with Povey or Hann windows) can the rounding of
    either float32 transform, which grows with the loudest filter, show more: up to 4e-3.

    Args:
        waveform: [samples] in the range of 16-bit integers.
        options: see `FbankOptions`.

    Returns:
        [frames, num_mel_bins] float32; no frames when the waveform is shorter than a window.
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
