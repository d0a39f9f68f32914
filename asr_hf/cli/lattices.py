"""Make denominator lattices for sequence training.

commonest use: asr-hf lattices exp/first
usual time:    about a minute for 22 minutes of recordings on one core

usage: asr-hf lattices exp/RUN [key=value ...]
       asr-hf lattices +recipe=NAME lattices.from_run=exp/RUN [key=value ...]

The command decodes the training and held-out sets with the network of the run and with a unigram
language model of the training text. It keeps every path near the best one, and puts back reference
transcripts that were lost on the way. The lattices are in <corpus.dir>/lattices/<set>. The same
command continues what was cut off.

lattices.from_kaldi=DIR takes Kaldi's lattices in their place (lat.*.gz). lattices.tag=TAG makes
others beside them.
"""

from __future__ import annotations

from asr_hf.cli.run_settings import load_run_config
from asr_hf.cli.stage import run_stage


def run(arguments: list[str]) -> None:
    """Run the verb with its overrides."""
    run_stage("lattices", load_run_config(arguments, "lattices.from_run"))
