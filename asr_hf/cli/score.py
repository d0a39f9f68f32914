"""Score the decoded sets of a run.

commonest use: asr-hf score exp/first
usual time:    2 seconds

usage: asr-hf score exp/RUN [key=value ...]

The command prints word error rates with counts and confidence intervals, by set and language. It
writes them into result.json, lists the worst utterances word by word in score.txt, and renews
report.html. If sclite is installed, it checks the counts with it.
"""

from __future__ import annotations

from asr_hf.cli.one_run import say_where
from asr_hf.cli.run_settings import load_run_config
from asr_hf.cli.stage import run_stage


def run(arguments: list[str]) -> None:
    """Run the verb with its overrides."""
    config = load_run_config(arguments, makes_model=False)
    run_stage("score", config)
    say_where(config.run_dir)
