"""Make a corpus: data directories, lexicon and language model.

commonest use: asr-hf prepare +recipe=prompts
usual time:    20 to 30 seconds for 24 minutes of recordings on two cores, after the download

usage: asr-hf prepare +recipe=NAME [key=value ...]
       asr-hf prepare table=FILE [key=value ...]

The recipe finds or fetches the recordings, and writes the corpus into <paths.data>/<corpus.name>.
The command then checks what the recipe has made. corpus.source=DIR takes the recordings from a
folder of yours.
"""

from __future__ import annotations

from asr_hf.cli.compose import load_config
from asr_hf.cli.stage import run_stage


def run(arguments: list[str]) -> None:
    """Run the verb with its overrides."""
    run_stage("prepare", load_config(arguments))
