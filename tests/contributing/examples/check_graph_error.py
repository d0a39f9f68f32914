"""A criterion with targets of its own kind gets them, and a run keeps where they are from."""

from __future__ import annotations

from asr_hf.cli.check import check_targets
from asr_hf.cli.compose import load_config
from asr_hf.cli.typed import settings_of
from asr_hf.stages.training.run_inputs import inputs_of
from asr_hf.stages.training.targets import open_targets
from asr_hf.training.feeding.targets import ArcTargets


def test_its_targets_are_opened_and_kept_in_mind():
    config = load_config(["+recipe=prompts", "criterion=graph_error"])
    check_targets(config)
    settings = settings_of(config)
    assert isinstance(open_targets(settings, {}, None), ArcTargets)
    assert "graphs" in inputs_of(settings, {})
    plain = settings_of(load_config(["+recipe=prompts"]))
    assert not isinstance(open_targets(plain, {}, None), ArcTargets)
    assert "graphs" not in inputs_of(plain, {})
