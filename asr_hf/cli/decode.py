"""Decode with a trained model.

commonest use: asr-hf decode exp/first
usual time:    20 to 30 seconds for four minutes of recordings on one core

usage: asr-hf decode exp/RUN [key=value ...]

The settings are those of the run. What you give beside changes them. Without a folder, name=RUN and
the run's recipe say which run it is.

The command tries acoustic scales and insertion penalties on decode.tune_on, and decodes decode.sets
with the best of them. It writes hypotheses and ctm into <run folder>/decode/<set>. It keeps what
was decoded already. `asr-hf score exp/RUN` counts the errors.
"""

from __future__ import annotations

from asr_hf.cli.run_settings import load_run_config
from asr_hf.cli.stage import run_stage


def run(arguments: list[str]) -> None:
    """Run the verb with its overrides."""
    run_stage("decode", load_run_config(arguments))
