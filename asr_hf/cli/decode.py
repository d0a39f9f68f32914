"""Decode with a trained model and score.

Sweeps acoustic scale and insertion penalty on decode.tune_on, decodes decode.sets at the best of
them, and writes hypotheses, ctm and WER into the run folder (name=...).
"""

from __future__ import annotations

from asr_hf.cli.compose import load_config


def run(arguments: list[str]) -> None:
    """Run the verb with its overrides."""
    config = load_config(arguments)
    from asr_hf.stages import decode

    decode.run(config)
