"""Make denominator lattices for sequence training.

usage: asr-hf lattices exp/RUN [key=value ...]
       asr-hf lattices +recipe=NAME lattices.from_run=exp/RUN [key=value ...]

Decodes the training and held-out sets with the network of lattices.from_run=<run folder> and a
unigram language model of the training text, and keeps every path near the best one in
<corpus.dir>/lattices/<set>. Reference transcripts that were lost on the way are put back in.
lattices.from_kaldi=<folder with lat.*.gz> takes Kaldi's lattices in place of these.
lattices.tag=<tag> makes others beside them; the same command again continues what was cut off.
"""

from __future__ import annotations

from asr_hf.cli.run_settings import load_run_config
from asr_hf.cli.stage import run_stage


def run(arguments: list[str]) -> None:
    """Run the verb with its overrides."""
    run_stage("lattices", load_run_config(arguments, "lattices.from_run"))
