"""Decode with a trained model.

Sweeps acoustic scale and insertion penalty on decode.tune_on, decodes decode.sets at the best of
them, and writes hypotheses and ctm into <run folder>/decode/<set>. `asr-hf score` with the same
overrides counts the errors.
"""

from __future__ import annotations

from asr_hf.cli.compose import load_config
from asr_hf.cli.stage import run_stage


def run(arguments: list[str]) -> None:
    """Run the verb with its overrides."""
    run_stage("decode", load_config(arguments))
