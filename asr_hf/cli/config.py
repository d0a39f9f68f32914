"""Print the resolved configuration that any verb would run with the same overrides."""

from __future__ import annotations

from omegaconf import OmegaConf

from asr_hf.cli.compose import load_config


def run(arguments: list[str]) -> None:
    """Print YAML to standard output."""
    print(OmegaConf.to_yaml(load_config(arguments), resolve=True), end="")
