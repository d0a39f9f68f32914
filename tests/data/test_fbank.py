"""Filterbanks against kaldi-native-fbank."""

from __future__ import annotations

import kaldi_native_fbank
import numpy as np
import pytest
import torch

from asr_hf.data.fbank import FbankOptions, fbank
from asr_hf.runtime.errors import InputError


def oracle(waveform: np.ndarray, options: FbankOptions) -> np.ndarray:
    wanted = kaldi_native_fbank.FbankOptions()
    wanted.frame_opts.dither = 0.0
    wanted.frame_opts.samp_freq = options.sample_rate
    wanted.frame_opts.window_type = options.window
    wanted.frame_opts.frame_length_ms = options.frame_length
    wanted.frame_opts.frame_shift_ms = options.frame_shift
    wanted.frame_opts.preemph_coeff = options.preemphasis
    wanted.mel_opts.num_bins = options.num_mel_bins
    wanted.mel_opts.low_freq = options.low_freq
    wanted.mel_opts.high_freq = options.high_freq
    computer = kaldi_native_fbank.OnlineFbank(wanted)
    computer.accept_waveform(options.sample_rate, waveform.tolist())
    computer.input_finished()
    return np.stack([computer.get_frame(i) for i in range(computer.num_frames_ready)])


@pytest.mark.parametrize(
    "options",
    [
        FbankOptions(),
        FbankOptions(num_mel_bins=36, low_freq=64.0, high_freq=3800.0),
        FbankOptions(window="povey", high_freq=-200.0),
        FbankOptions(window="hanning", preemphasis=0.0),
        FbankOptions(window="blackman", num_mel_bins=23),
        FbankOptions(window="rectangular", num_mel_bins=20, low_freq=0.0),
        FbankOptions(sample_rate=16000, num_mel_bins=40, window="povey"),
        FbankOptions(frame_length=32.0, frame_shift=8.0),
    ],
    ids=lambda o: f"{o.window}-{o.num_mel_bins}-{o.low_freq:g}-{o.high_freq:g}-{o.frame_length:g}",
)
def test_equals_kaldi(options, speech):
    waveform = speech(2.3, seed=4, rate=options.sample_rate).astype(np.float32)
    ours = fbank(torch.from_numpy(waveform), options).numpy()
    kaldi = oracle(waveform, options)
    assert ours.shape == kaldi.shape
    assert np.abs(ours - kaldi).max() < 1e-3


def test_equals_kaldi_on_digital_silence_and_clipping():
    waveform = np.concatenate([np.zeros(2000), np.tile([32767.0, -32768.0], 1500)])
    waveform = waveform.astype(np.float32)
    options = FbankOptions()
    ours = fbank(torch.from_numpy(waveform), options).numpy()
    assert np.isfinite(ours).all()
    assert np.abs(ours - oracle(waveform, options)).max() < 1e-3


@pytest.mark.parametrize(("samples", "frames"), [(0, 0), (1, 0), (199, 0), (200, 1), (280, 2)])
def test_only_whole_windows_give_frames(samples, frames):
    assert fbank(torch.ones(samples), FbankOptions()).shape == (frames, 40)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"high_freq": 4001.0}, "high_freq=4001"),
        ({"low_freq": 3000.0, "high_freq": 2000.0}, "low_freq=3000"),
        ({"low_freq": 3900.0, "high_freq": -200.0}, "low_freq=3900"),
        ({"window": "haming"}, "window=haming"),
        ({"frame_shift": 0.0}, "frame_shift=0"),
        ({"frame_length": 0.01}, "frame_length=0.01"),
        ({"preemphasis": 1.5}, "preemphasis=1.5"),
        ({"sample_rate": 0}, "sample_rate=0"),
        ({"num_mel_bins": 3}, "num_mel_bins=3"),
        ({"num_mel_bins": 120}, "num_mel_bins=120"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_impossible_options_are_refused_by_name(wrong, named):
    with pytest.raises(InputError, match=named):
        FbankOptions(**wrong)
