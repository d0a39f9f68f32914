"""Without torchaudio, kaldi-native-fbank and SciPy give the same."""

from __future__ import annotations

import logging
import shutil
import sys
from functools import cache

import numpy as np
import pytest
import torch

from asr_hf.data import backend
from asr_hf.data.ark import ArkReader
from asr_hf.data.fbank import WINDOWS, FbankOptions, fbank
from asr_hf.data.resampling import resample
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json

needs_torchaudio = pytest.mark.skipif(backend.torchaudio() is None, reason="needs torchaudio")


@pytest.fixture
def without(monkeypatch):
    """A call with arguments, as it goes without torchaudio."""

    def call(function, *arguments):
        with monkeypatch.context() as patch:
            patch.setattr(backend, "loaded", lambda: "there is no torchaudio")
            return function(*arguments)

    return call


OPTIONS = [
    *(FbankOptions(window=window) for window in WINDOWS),
    *(FbankOptions(sample_rate=16000, num_mel_bins=80, window=window) for window in WINDOWS),
    FbankOptions(sample_rate=11025, num_mel_bins=23),
    FbankOptions(sample_rate=22050, frame_length=20.0),
    FbankOptions(sample_rate=44100, window="povey"),
    FbankOptions(low_freq=0.0, high_freq=-200.0),
    FbankOptions(low_freq=64.0, high_freq=3800.0, num_mel_bins=36),
    FbankOptions(preemphasis=0.0),
    FbankOptions(preemphasis=1.0, window="povey"),
    FbankOptions(frame_length=32.0, frame_shift=8.0),
    # Products that float32 rounds below a whole number of samples, and float64 does not.
    FbankOptions(sample_rate=10000, frame_length=28.7, frame_shift=10.7, num_mel_bins=23),
]


@needs_torchaudio
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_filterbanks_of_speech_and_noise_are_those_of_torchaudio(options, speech, without):
    rate = options.sample_rate
    noise = np.random.default_rng(5).normal(0, 3000, 2 * rate)
    for samples in (speech(2.3, seed=4, rate=rate), noise):
        waveform = torch.from_numpy(samples.astype(np.float32))
        ours, theirs = without(fbank, waveform, options), fbank(waveform, options)
        assert ours.dtype == theirs.dtype == torch.float32
        assert ours.shape == theirs.shape
        # In float64, because its own float32 is off by as much on some processors.
        exact = fbank(waveform.double(), options)
        assert exact.dtype == torch.float64
        assert (ours - exact).abs().max() < 5e-4


@needs_torchaudio
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_filterbanks_of_tones_are_those_of_torchaudio_up_to_the_rounding_of_their_spectrum(
    options, without
):
    # A tone without noise leaves other filters empty but for what float32 rounds of the loudest.
    times = np.arange(options.sample_rate) / options.sample_rate
    sweep = (50 + options.sample_rate / 5 * times) * times
    for phase in (440 * times, 1234.5 * times, sweep):
        waveform = torch.from_numpy((9000 * np.sin(2 * np.pi * phase)).astype(np.float32))
        ours, theirs = (
            (features.double() / 2).exp()
            for features in (without(fbank, waveform, options), fbank(waveform, options))
        )
        loudest = theirs.amax(dim=1, keepdim=True)
        # Half of 5e-4 of the logarithm of energies.
        assert ((ours - theirs).abs() <= 2.5e-4 * theirs + 2e-6 * loudest).all()


def test_samples_that_are_no_numbers_give_no_numbers(without):
    options = FbankOptions()
    for wrong in (np.nan, np.inf, 1e30):
        waveform = torch.ones(1000)
        waveform[500] = wrong
        features = without(fbank, waveform, options)
        assert features.shape == (11, 40) and not features.isfinite().all()


def test_long_recordings_are_taken_in_pieces(without):
    waveform = torch.from_numpy(np.random.default_rng(1).normal(0, 900, 150_000)).float()
    whole = without(fbank, waveform, FbankOptions())
    tail = without(fbank, waveform[80 * 1700 :], FbankOptions())
    assert torch.equal(whole[1700:], tail)


def test_where_there_is_neither_the_error_names_both(without, monkeypatch):
    monkeypatch.setitem(sys.modules, "kaldi_native_fbank", None)
    with pytest.raises(InputError) as error:
        without(fbank, torch.ones(1000), FbankOptions())
    for said in ("features=fbank", "there is no torchaudio", "kaldi-native-fbank does not load"):
        assert said in error.value.problem
    assert "pip install kaldi-native-fbank" in error.value.remedy
    assert "torch with its torchaudio" in error.value.remedy


RATES = [
    *[(16000, 8000), (8000, 16000), (44100, 16000), (16000, 44100), (48000, 8000)],
    *[(11025, 8000), (22050, 16000), (44100, 8000)],
]


@needs_torchaudio
@pytest.mark.parametrize(("rate", "target"), RATES)
@pytest.mark.parametrize(
    ("dtype", "limit"), [(torch.float32, 5e-5), (torch.float64, 1e-12)], ids=str
)
def test_resampling_is_that_of_torchaudio(rate, target, dtype, limit, speech, without):
    random = np.random.default_rng(0)
    times = np.arange(rate // 2) / rate
    sweep = np.sin(np.pi * rate * times**2)
    tone = 0.5 * np.sin(2 * np.pi * 997 * times)
    spoken = speech(0.7, rate=rate) / 32768
    for samples in (random.uniform(-1, 1, 12345), sweep, tone, spoken, np.ones(1), np.ones(7)):
        given = torch.from_numpy(samples).to(dtype)
        ours, theirs = without(resample, given, rate, target), resample(given, rate, target)
        assert ours.dtype == theirs.dtype == dtype
        assert len(ours) == len(theirs) == -(-len(given) * target // rate)
        assert (ours - theirs).abs().max() < limit


@pytest.mark.parametrize("library", ["torchaudio", "SciPy"])
@pytest.mark.parametrize(("rate", "target"), [(16000, 8000), (44100, 16000), (8000, 16000)])
def test_resampling_keeps_tones_of_the_passband_and_their_times(rate, target, library, without):
    if library == "torchaudio" and backend.torchaudio() is None:
        pytest.skip("needs torchaudio")
    call = without if library == "SciPy" else lambda function, *given: function(*given)
    edge = 0.7 * min(rate, target) / 2
    for hertz in np.linspace(50, edge, 12):
        given = np.sin(2 * np.pi * hertz * np.arange(rate) / rate)
        made = call(resample, torch.from_numpy(given), rate, target).numpy()
        assert len(made) == target
        times = np.arange(target) / target
        inside = slice(target // 10, -target // 10)
        wave = np.exp(2j * np.pi * hertz * times)
        # The amplitude and the phase of the tone (Hz), by its own sine and cosine.
        basis = np.stack([wave.imag, wave.real], axis=1)[inside]
        sine, cosine = np.linalg.lstsq(basis, made[inside], rcond=None)[0]
        assert abs(20 * np.log10(np.hypot(sine, cosine))) < 0.1
        assert abs(np.arctan2(cosine, sine) / (2 * np.pi * hertz)) < 1e-7


def test_audio_of_the_right_rate_is_left_as_it_is(without):
    samples = torch.rand(100)
    assert without(resample, samples, 8000, 8000) is samples


@needs_torchaudio
def test_the_stage_makes_the_same_without_torchaudio_and_keeps_what_was_made_with_it(
    asr_hf, tmp_path, make_corpus, monkeypatch
):
    data = make_corpus(tmp_path / "data" / "prompts")
    folder = tmp_path / "data" / "prompts" / "fbank" / "set"
    command = [
        *("features", "+recipe=prompts", "corpus.sets=[set]", "corpus.train_set=set"),
        *("features.sample_rate=6000", "features.resample=true", "features.num_mel_bins=23"),
    ]

    def hidden():
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "torchaudio", None)
            patch.setattr(backend, "loaded", cache(backend.loaded.__wrapped__))
            assert backend.in_use().endswith("there is no torchaudio")
            assert asr_hf(*command).code == 0

    def made():
        record, reader = read_json(folder / "artefact.json"), ArkReader(folder / "feats.scp")
        told = [record[key] for key in ("kind", "settings", "sources", "about")]
        return {name: reader[name] for name in reader}, told

    hidden()
    without_it, told_without = made()
    shutil.rmtree(folder)
    assert asr_hf(*command).code == 0
    with_it, told = made()
    before = (folder / "feats.ark").stat().st_mtime_ns
    hidden()
    assert (folder / "feats.ark").stat().st_mtime_ns == before
    assert told == told_without
    assert with_it.keys() == without_it.keys() == {u.id for u in data.utterances}
    for name, matrix in with_it.items():
        assert matrix.shape == without_it[name].shape
        assert 0 < np.abs(matrix - without_it[name]).max() < 5e-4


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModuleNotFoundError("No module named 'torchaudio'", name="torchaudio"), "there is no"),
        (OSError("undefined symbol"), "does not load beside torch"),
        (RuntimeError("compiled with different CUDA versions"), "does not load beside torch"),
        (AttributeError("torch has no attribute"), "does not load beside torch"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_a_torchaudio_that_does_not_load_is_passed_by_and_the_reason_is_told(
    error, said, monkeypatch, caplog
):
    class Failing:
        @staticmethod
        def find_spec(name, *_):
            if name.startswith("torchaudio"):
                raise error

    for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Failing, *sys.meta_path])
    monkeypatch.setattr(backend, "loaded", cache(backend.loaded.__wrapped__))
    with caplog.at_level(logging.WARNING):
        assert backend.torchaudio() is None
        assert said in backend.in_use() and "kaldi-native-fbank 1." in backend.in_use()
    warned = [record.getMessage() for record in caplog.records]
    assert (str(error) in "".join(warned)) == (said != "there is no") and len(warned) <= 1
