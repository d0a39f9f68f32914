"""Typed settings for tests that call stages, made as the command makes them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from omegaconf import DictConfig, OmegaConf

from asr_hf.cli.compose import load_config
from asr_hf.cli.typed import settings_of
from asr_hf.settings.settings import Settings


def typed(config: DictConfig | Mapping[str, Any]) -> Settings:
    """Settings of a configuration; what a part of one leaves out is that of `+recipe=prompts`."""
    if "paths" in config:
        return settings_of(OmegaConf.create(config))
    whole = OmegaConf.create(_defaults())
    whole.merge_with(config)
    return settings_of(whole)


@cache
def _defaults() -> Any:
    return OmegaConf.to_container(load_config(["+recipe=prompts"]), resolve=False)
