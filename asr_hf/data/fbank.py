"""Log-mel filterbanks, equal to Kaldi's compute-fbank-feats."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torchaudio.compliance.kaldi
from torch import Tensor


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
        preemphasis: coefficient.
    """

    sample_rate: int = 8000
    num_mel_bins: int = 40
    low_freq: float = 20.0
    high_freq: float = 0.0
    window: str = "hamming"
    frame_length: float = 25.0
    frame_shift: float = 10.0
    preemphasis: float = 0.97

    def to_dict(self) -> dict[str, Any]:
        """As stored beside the features."""
        return asdict(self)


def fbank(waveform: Tensor, options: FbankOptions) -> Tensor:
    """Compute log-mel energies, without dither.

    Args:
        waveform: [samples] in the range of 16-bit integers.
        options: see `FbankOptions`.

    Returns:
        [frames, num_mel_bins] float32; no frames when the waveform is shorter than a window.
    """
    features: Tensor = torchaudio.compliance.kaldi.fbank(
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
