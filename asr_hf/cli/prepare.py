"""Make a corpus: data directories, lexicon and language model.

Runs recipes/<corpus.recipe>/prepare.py and validates what it made in <paths.data>/<corpus.name>.
Set corpus.source=DIR to take the recordings from a folder of yours.
"""

from __future__ import annotations

from asr_hf.cli.compose import load_config


def run(arguments: list[str]) -> None:
    """Run the verb with its overrides."""
    config = load_config(arguments)
    from asr_hf.stages import prepare

    prepare.run(config)
