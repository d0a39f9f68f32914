"""Make a corpus: data directories, lexicon and language model.

Runs recipes/<corpus.recipe>/prepare.py and validates what it made in <paths.data>/<corpus.name>.
Set corpus.source=DIR to take the recordings from a folder of yours.
"""

from __future__ import annotations

from asr_hf.cli.compose import load_config
from asr_hf.cli.stage import run_stage


def run(arguments: list[str]) -> None:
    """Run the verb with its overrides."""
    run_stage("prepare", load_config(arguments))
