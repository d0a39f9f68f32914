"""Decode with a trained model.

usage: asr-hf decode exp/RUN [key=value ...]

The settings are those of the run; what is given beside changes them. Without a folder, name=RUN and
the run's recipe say which run it is.

Sweeps acoustic scale and insertion penalty on decode.tune_on, decodes decode.sets at the best of
them, and writes hypotheses and ctm into <run folder>/decode/<set>. `asr-hf score exp/RUN`
counts the errors. What was decoded already is kept.
"""

from __future__ import annotations

from asr_hf.cli.run_settings import load_run_config
from asr_hf.cli.stage import run_stage


def run(arguments: list[str]) -> None:
    """Run the verb with its overrides."""
    run_stage("decode", load_run_config(arguments))
