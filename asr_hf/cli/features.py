"""Extract filterbank features of every set of a corpus.

Writes <corpus.dir>/fbank/<set>. What is already there and current is left alone.
"""

from __future__ import annotations

from asr_hf.cli.compose import load_config
from asr_hf.cli.stage import run_stage


def run(arguments: list[str]) -> None:
    """Run the verb with its overrides."""
    run_stage("features", load_config(arguments))
