"""Which gradients are computed in bfloat16, and what is said of those that are not."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import pytest
import torch

from asr_hf.curvature.precision import Precision
from asr_hf.hf.objective import Sample, Split
from asr_hf.stages.training import arithmetic
from asr_hf.stages.training.arithmetic import choose_gradients, coarse_error

ADAMW, HF = "asr_hf.baselines.adamw.AdamW", "asr_hf.hf.hessian_free.HessianFree"


def settings(trainer):
    return SimpleNamespace(trainer=SimpleNamespace(target=trainer))


@pytest.fixture
def objective(make_objective):
    made = make_objective(dtype=torch.float32, hidden_sizes=[64, 64], normalisation="rms")
    made.precision = Precision.BF16
    return made


@pytest.mark.parametrize(
    ("trainer", "units", "largest", "found", "said"),
    [
        (ADAMW, "AVX512_BF16", 0.1, Precision.BF16, "gradients in bf16 (AVX512_BF16)"),
        (ADAMW, "", 0.1, Precision.FP32, "cpu has no units"),
        (ADAMW, "AMX", 1e-6, Precision.FP32, "of its length off"),
        (HF, "AMX", 0.1, Precision.FP32, "compares their losses"),
    ],
)
def test_gradients_are_coarse_where_that_is_faster_and_harmless(
    objective, monkeypatch, caplog, trainer, units, largest, found, said
):
    monkeypatch.setattr(arithmetic, "arithmetic_units", lambda device: units)
    monkeypatch.setattr(arithmetic, "_LARGEST_ERROR", largest)
    with caplog.at_level(logging.INFO):
        choose_gradients(settings(trainer), objective)
    assert objective.gradient_precision is found
    assert said in caplog.text
    assert objective.frames_by_pass["gradient"] == 0


def test_nothing_is_chosen_where_nothing_is_asked_for(objective, caplog):
    objective.precision = Precision.FP32
    choose_gradients(settings(ADAMW), objective)
    assert objective.gradient_precision is Precision.FP32
    assert not caplog.text


def test_the_error_is_that_of_rounding_or_infinite(objective):
    assert 1e-4 < coarse_error(objective) < 0.1
    with torch.no_grad():
        objective.model.flat.fill_(torch.nan)
    assert coarse_error(objective) == torch.inf


@pytest.mark.parametrize("normalisation", ["none", "rms", "layer", "batch"])
def test_coarse_gradients_are_near_and_leave_losses_as_they_are(make_objective, normalisation):
    objective = make_objective(
        dtype=torch.float32, hidden_sizes=[64, 64], normalisation=normalisation
    )
    theta = objective.model.flat.detach().clone()
    sample = Sample(Split.TRAIN, torch.arange(20).numpy())
    losses, gradients = [], []
    for precision in (Precision.FP32, Precision.BF16):
        objective.gradient_precision = precision
        losses.append(objective.loss(theta, sample).total)
        (minibatch, *_) = objective.minibatches(1, 0, 64)
        gradients.append(objective.minibatch_gradient(theta, minibatch)[1].clone())
    assert losses[0] == losses[1] or normalisation == "batch"
    exact, coarse = gradients
    assert coarse.dtype == torch.float32
    assert 0 < float((coarse - exact).norm() / exact.norm()) < 0.1
