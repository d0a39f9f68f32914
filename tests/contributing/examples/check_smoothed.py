"""A criterion of asr-hf's own: its option makes it, and its gradient is the loss's."""

from __future__ import annotations

import pytest
import torch

from asr_hf.cli.check import check_targets
from asr_hf.cli.compose import load_config
from asr_hf.cli.typed import settings_of
from asr_hf.stages.training.declared import criterion_needs
from asr_hf.stages.training.targets import open_targets
from asr_hf.training.feeding.targets import LabelTargets


@pytest.fixture
def config():
    return load_config(["+recipe=prompts", "criterion=smoothed"])


def test_its_gradient_is_that_of_its_loss(config):
    check_targets(config)
    criterion = settings_of(config).criterion.build()
    logits = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3, 0, 1])
    gradient, step = criterion.gradient(logits, labels), 1e-6 * torch.eye(24).view(24, 6, 4)
    sides = [
        torch.stack([criterion.loss(logits + sign * one, labels).total for one in step])
        for sign in (1, -1)
    ]
    differences = (sides[0] - sides[1]) / 2e-6
    assert torch.allclose(gradient.flatten(), differences, atol=1e-6)


def test_it_is_held_against_labels(config):
    settings = settings_of(config)
    assert not criterion_needs(settings.criterion).starting_model
    assert isinstance(open_targets(settings, {}, None), LabelTargets)
