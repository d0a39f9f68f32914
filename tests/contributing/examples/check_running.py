"""A preconditioner of asr-hf's own: its option makes it, and a checkpoint holds its state."""

from __future__ import annotations

from hydra.utils import instantiate

from asr_hf.cli.check import check_targets
from asr_hf.cli.compose import load_config
from asr_hf.training.try_out import is_own, try_preconditioner


def test_its_option_makes_it():
    config = load_config(["+recipe=prompts", "preconditioner=running", "preconditioner.decay=0.5"])
    check_targets(config)
    made = instantiate(config.preconditioner)
    assert made.decay == 0.5 and not is_own(made)
    try_preconditioner(made)
    made.load_state_dict(made.state_dict())
