"""Score the decoded sets of a run.

Prints word error rates with counts and confidence intervals by set and language, enters them in
result.json, lists the worst utterances word by word in score.txt, renews report.html, and checks
the counts with sclite where it is installed.
"""

from __future__ import annotations

from asr_hf.cli.compose import load_config
from asr_hf.cli.stage import run_stage
from asr_hf.cli.train import say_where


def run(arguments: list[str]) -> None:
    """Run the verb with its overrides."""
    config = load_config(arguments)
    run_stage("score", config)
    say_where(config.run_dir)
