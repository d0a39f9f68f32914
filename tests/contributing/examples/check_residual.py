"""A model of asr-hf's own: its option builds it, and its file needs no class named."""

from __future__ import annotations

import pytest
import torch

from asr_hf.cli.check import check_targets
from asr_hf.cli.compose import load_config
from asr_hf.cli.typed import settings_of
from asr_hf.data.frame_batch import FrameBatch
from asr_hf.training.model_file import build_model, load_model, save_model
from asr_hf.training.try_out import is_own


@pytest.fixture
def config():
    return load_config(["+recipe=prompts", "model=residual"])


def test_logits_follow_from_the_file_alone(config, tmp_path):
    check_targets(config)
    group = settings_of(config).model.tree
    model = build_model(group, 3, 5, seed=0)
    save_model(tmp_path / "model.safetensors", model, group, {})
    again, _ = load_model(tmp_path / "model.safetensors")
    assert type(again) is type(model) and not is_own(model)
    starts, ends = torch.zeros(7, dtype=torch.long), torch.full((7,), 7)
    batch = FrameBatch(torch.randn(7, 3), torch.zeros(7, dtype=torch.long), starts, ends)
    with torch.no_grad():
        logits = model(model.inputs(batch))
        assert logits.shape == (7, 5) and torch.equal(logits, again(again.inputs(batch)))
