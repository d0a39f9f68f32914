"""A trained model as other programs in Python get it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from asr_hf.data.cmvn import apply_cmvn, cmvn_stats
from asr_hf.data.fbank import FbankOptions, fbank
from asr_hf.data.frame_batch import FrameBatch
from asr_hf.data.online_cmvn import OnlineCmvn, OnlineCmvnOptions
from asr_hf.models.dnn import DNN
from asr_hf.runtime.errors import InputError
from asr_hf.training.model_file import save_model
from asr_hf.training.trained_model import load_model

FEATURES = {
    "sample_rate": 8000,
    "resample": False,
    "num_mel_bins": 12,
    "low_freq": 20.0,
    "high_freq": 0.0,
    "window": "hamming",
    "frame_length": 25.0,
    "frame_shift": 10.0,
    "preemphasis": 0.97,
    "cmvn": "utterance",
    "transforms": None,
    "perturb": {"speeds": [], "level": None, "seed": 0},
    "dtype": "float16",
    "allow_pipes": False,
    "jobs": 2,
    "max_skipped": 0.05,
}
CONFIG = {"_target_": "asr_hf.models.dnn.DNN", "hidden_sizes": [8], "left": 2, "right": 2}


def network() -> DNN:
    model = DNN(feature_dim=12, num_pdfs=5, hidden_sizes=[8], left=2, right=2, seed=1)
    model.set_log_priors(torch.tensor([1.0, 2, 3, 4, 5]))
    return model


def save(folder: Path, **changes) -> Path:
    about = {"corpus": "prompts", "features": FEATURES | changes, "states": None}
    save_model(folder / "model.safetensors", network(), CONFIG, about)
    return folder


def test_scores_are_those_of_the_network_by_utterance(tmp_path):
    model = load_model(save(tmp_path))
    features = torch.randn(30, 12)
    bounds = torch.tensor([0] * 18 + [18] * 12), torch.tensor([18] * 18 + [30] * 12)
    batch = FrameBatch(features, torch.zeros(0).long(), *bounds)
    inner = network()
    torch.testing.assert_close(model(features, torch.tensor([18, 12])), inner(inner.inputs(batch)))
    torch.testing.assert_close(model(features[:18]), inner(inner.inputs(batch))[:18])
    expected = inner.log_likelihoods(inner.inputs(batch))
    found = model.log_likelihoods(features, torch.tensor([18, 0, 12]))
    torch.testing.assert_close(found, expected)
    assert (model.feature_dim, model.num_pdfs, model.corpus) == (12, 5, "prompts")
    assert not model.training and model.features.num_mel_bins == 12
    assert sum(p.numel() for p in model.parameters()) == inner.flat.numel()


def test_a_file_may_be_named_in_place_of_its_folder(tmp_path):
    folder = save(tmp_path)
    assert load_model(str(folder / "model.safetensors")).num_pdfs == 5


@pytest.mark.parametrize("dtype", ["float64", "int16"])
def test_features_of_a_recording_are_those_of_the_training(tmp_path, dtype):
    generator = np.random.default_rng(0)
    samples = (3000 * generator.standard_normal(4000)).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", samples, 8000, subtype="PCM_16")
    model = load_model(save(tmp_path))
    read, rate = soundfile.read(tmp_path / "a.wav", dtype=dtype)
    found = model.extract(read, rate)
    options = FbankOptions(sample_rate=8000, num_mel_bins=12)
    raw = fbank(torch.from_numpy(samples.astype(np.float32)), options).numpy()
    torch.testing.assert_close(found, torch.from_numpy(apply_cmvn(raw, cmvn_stats(raw))))
    assert model(found).shape == (48, 5)


def test_online_cmvn_starts_from_the_statistics_of_the_training_set(tmp_path):
    random = np.random.default_rng(0)
    stats = cmvn_stats(random.normal(5, 2, (300, 12)).astype(np.float32))
    window = {"cmn_window": 50, "speaker_frames": 0, "global_frames": 20, "norm_vars": False}
    about = {"features": FEATURES | {"cmvn": "online", "online_cmvn": window}}
    path = tmp_path / "model.safetensors"
    save_model(path, network(), CONFIG, about | {"global_stats": stats.tolist()})
    samples = random.integers(-3000, 3000, 4000).astype(np.int16)
    options = FbankOptions(sample_rate=8000, num_mel_bins=12)
    raw = fbank(torch.from_numpy(samples.astype(np.float32)), options).numpy()
    expected = OnlineCmvn(OnlineCmvnOptions(**window), stats).apply(raw)
    found = load_model(path).extract(samples, 8000)
    torch.testing.assert_close(found, torch.from_numpy(expected))
    save_model(path, network(), CONFIG, about)
    with pytest.raises(InputError, match="train the network again"):
        load_model(path)


@pytest.mark.parametrize(
    ("samples", "rate", "said"),
    [
        (np.zeros(4000), 16000, "16000 Hz"),
        (np.zeros(100), 8000, "100 samples"),
        (np.zeros((2, 4000)), 8000, "one channel"),
        (np.zeros(4000, dtype=np.int64), 8000, "int16"),
    ],
)
def test_recordings_that_do_not_fit_are_refused(tmp_path, samples, rate, said):
    with pytest.raises(InputError, match=said):
        load_model(save(tmp_path)).extract(samples, rate)


@pytest.mark.parametrize("changes", [{"sample_rate": None}, {"transforms": ["/trans.ark"]}])
def test_features_that_came_from_outside_are_not_made_up(tmp_path, changes):
    with pytest.raises(InputError, match=r"forward\(\)"):
        load_model(save(tmp_path, **changes)).extract(np.zeros(4000), 8000)


@pytest.mark.parametrize(
    ("features", "lengths", "said"),
    [
        (torch.zeros(9, 11), None, "[9, 11]"),
        (torch.zeros(9), None, "[9]"),
        (torch.zeros(9, 12), torch.tensor([4, 4]), "sum up to 8"),
    ],
)
def test_features_of_another_shape_are_refused(tmp_path, features, lengths, said):
    with pytest.raises(InputError) as caught:
        load_model(save(tmp_path))(features, lengths)
    assert said in str(caught.value)


def test_a_folder_without_a_model_and_a_damaged_file_are_named(tmp_path):
    with pytest.raises(InputError, match="no trained model"):
        load_model(tmp_path)
    path = save(tmp_path) / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="checksum"):
        load_model(tmp_path)


def test_a_description_of_features_that_is_none_is_refused(tmp_path):
    with pytest.raises(InputError, match="features"):
        load_model(save(tmp_path, num_mel_bins="many"))
