"""Computes log-mel filterbank features, equal to those of Kaldi's compute-fbank-feats."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr_hf.data import backend
from asr_hf.runtime.errors import InputError

# Those that both libraries know.
WINDOWS = ("hamming", "hanning", "povey", "blackman", "rectangular")
# Samples that kaldi-native-fbank takes at once; it makes Python numbers of them.
_PIECE = 1 << 16
# The spectrum of larger samples overflows float32, and kaldi-native-fbank raises an error.
_LOUDEST = 1e12
# Weights of filters are computed in float32: one that small may come out as none.
_SMALLEST_WEIGHT = 1e-4


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
            f"features.frame_shift={self.frame_shift:g}": self.shift_samples > 0,
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

    @property
    def shift_samples(self) -> int:
        """The number of samples from one window to the next."""
        return int(self.sample_rate * self.frame_shift * 0.001)

    def to_dict(self) -> dict[str, Any]:
        """Return the options as fbank.json holds them."""
        return asdict(self)


def fbank(waveform: Tensor, options: FbankOptions) -> Tensor:
    """Compute log-mel energies, without dither.

    torchaudio computes them where there is torchaudio, otherwise kaldi-native-fbank. The values
    differ from one another and from Kaldi's by less than 1e-3, with one exception: in filters with
    next to no energy beside loud ones (one value in 10^5 of real recordings, with Povey or Hann
    windows) by up to 4e-3, because the rounding of the float32 transforms grows with the loudest
    filter.

    Args:
        waveform: samples [N] in the range of 16-bit integers.
        options: options of the filterbank.

    Returns:
        Log-mel energies [F, num_mel_bins], float32; F is 0 if the waveform is shorter than a
        window. They are not finite where samples are not.

    Raises:
        InputError: there is none of the two libraries.
    """
    if len(waveform) < options.window_samples:
        return torch.empty(0, options.num_mel_bins)
    library = backend.torchaudio()
    if library is None:
        return _by_kaldi_native_fbank(waveform, options)
    return library.fbank(
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


def _by_kaldi_native_fbank(waveform: Tensor, options: FbankOptions) -> Tensor:
    """Compute log-mel energies of at least one window; see `fbank`."""
    try:
        from kaldi_native_fbank import FbankOptions as Wanted
        from kaldi_native_fbank import OnlineFbank
    except ImportError as error:
        raise InputError(
            f"features=fbank: {backend.loaded()}, and kaldi-native-fbank does not load: {error}",
            expected="one of the two, to compute filterbanks",
            remedy="pip install kaldi-native-fbank, or a torch with its torchaudio",
        ) from error
    rate = options.sample_rate
    wanted = Wanted()
    wanted.frame_opts.samp_freq = rate
    wanted.frame_opts.dither = 0.0
    wanted.frame_opts.window_type = options.window
    wanted.frame_opts.preemph_coeff = options.preemphasis
    # It rounds samples down, in float32: half of one more keeps it from losing a whole one.
    wanted.frame_opts.frame_length_ms = 1000 * (options.window_samples + 0.5) / rate
    wanted.frame_opts.frame_shift_ms = 1000 * (options.shift_samples + 0.5) / rate
    wanted.mel_opts.num_bins = options.num_mel_bins
    wanted.mel_opts.low_freq = options.low_freq
    wanted.mel_opts.high_freq = options.high_freq
    if not bool((waveform.abs() < _LOUDEST).all()):
        frames = 1 + (len(waveform) - options.window_samples) // options.shift_samples
        return torch.full((frames, options.num_mel_bins), torch.nan)
    computer = OnlineFbank(wanted)
    for piece in torch.split(waveform, _PIECE):
        computer.accept_waveform(rate, piece.tolist())
    computer.input_finished()
    rows = [computer.get_frame(i) for i in range(computer.num_frames_ready)]
    return torch.from_numpy(np.stack(rows))


def _filters_hold_bins(options: FbankOptions, upper: float) -> bool:
    """Return whether each filter has a bin of the spectrum in it, and there are enough filters."""
    if options.num_mel_bins <= 3:
        return False
    padded = 1 << (options.window_samples - 1).bit_length()
    bins = _mel(np.arange(padded // 2, dtype=np.float64) * (options.sample_rate / padded))
    edges = np.linspace(_mel(options.low_freq), _mel(upper), options.num_mel_bins + 2)
    width = edges[1] - edges[0]
    weights = 1 - np.abs(bins - edges[1:-1, None]) / width
    return bool((weights.max(axis=1) > _SMALLEST_WEIGHT).all())


def _mel(hertz: float | NDArray[np.float64]) -> NDArray[np.float64]:
    mel: NDArray[np.float64] = 1127.0 * np.log1p(np.asarray(hertz) / 700.0)
    return mel
