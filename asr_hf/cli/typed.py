"""Turns a composed configuration into typed settings, and builds the objects in them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf

from asr_hf.settings.settings import Settings


def settings_of(config: DictConfig) -> Settings:
    """Make typed settings from a composed configuration.

    Args:
        config: configuration, complete.

    Returns:
        The settings.

    Raises:
        MissingSetting: a setting is missing.
        InputError: a value is of a wrong kind; the message names its whole key.
    """
    tree: Any = OmegaConf.to_container(config, resolve=True)
    formulas: Any = OmegaConf.to_container(config, resolve=False)
    return Settings.of(tree, formulas, build)


def build(key: str, tree: Mapping[str, Any], more: Mapping[str, Any]) -> Any:
    """Make the object that settings describe with Hydra's `instantiate`.

    Args:
        key: dotted key of the settings, which messages name.
        tree: plain settings with `_target_`.
        more: further arguments of the class.

    Returns:
        The object.
    """
    # Late, so that commands that build nothing do not wait for it.
    from hydra.utils import instantiate

    node = OmegaConf.create(dict(tree))
    for name in reversed(key.split(".")):
        node = OmegaConf.create({name: node})
    return instantiate(OmegaConf.select(node, key), **more)
