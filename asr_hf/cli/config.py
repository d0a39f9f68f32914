"""Print the configuration that any verb would run with the same overrides.

commonest use: asr-hf config +recipe=prompts
usual time:    half a second

usage: asr-hf config [exp/RUN] [key=value ...]

All values are resolved: a reference to another setting is replaced by that setting's value.
"""

from __future__ import annotations

from omegaconf import OmegaConf

from asr_hf.cli.run_settings import load_run_config


def run(arguments: list[str]) -> None:
    """Print the configuration as YAML to standard output."""
    print(OmegaConf.to_yaml(load_run_config(arguments, makes_model=False), resolve=True), end="")
