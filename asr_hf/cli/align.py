"""Align a corpus and pack its training data.

Flat-starts a monophone GMM on the training set, aligns every set by force, and packs features and
labels into <corpus.dir>/store/<set>. alignment.from_run=<run folder> realigns with a trained model;
alignment.from_kaldi=<folder with ali.*.gz and final.mdl> and alignment.from_ark=<ark of pdf ids>
take alignments from outside.
"""

from __future__ import annotations

from asr_hf.cli.compose import load_config
from asr_hf.cli.stage import run_stage


def run(arguments: list[str]) -> None:
    """Run the verb with its overrides."""
    run_stage("align", load_config(arguments))
