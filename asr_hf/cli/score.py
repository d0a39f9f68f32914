"""Score the decoded sets of a run again.
"""

from __future__ import annotations

from asr_hf.cli.compose import load_config


def run(arguments: list[str]) -> None:
    """Run the verb with its overrides."""
    config = load_config(arguments)
    from asr_hf.stages import score

    score.run(config)
