"""Align a corpus and pack its training data.

Flat-starts a monophone GMM on the training set, aligns every set by force, and packs features and
labels into <corpus.dir>/store/<set>. alignment.from_run=<run folder> realigns with a trained model;
alignment.from_kaldi=<folder with ali.*.gz and final.mdl> and alignment.from_ark=<ark of pdf ids>
take alignments from outside. What is there already and current is left alone.
"""

from __future__ import annotations

from asr_hf.cli.compose import load_config
from asr_hf.cli.stage import run_stage
from asr_hf.cli.typed import settings_of
from asr_hf.stages.sources.layout import store_folder


def run(arguments: list[str]) -> None:
    """Run the verb with its overrides, and print the stores that training reads."""
    config = load_config(arguments)
    made = run_stage("align", config)
    settings = settings_of(config)
    for name, about in made["sets"].items():
        minutes = about["frames"] * settings.features.frame_shift / 60_000
        skipped = f", {len(about['skipped'])} skipped" if about["skipped"] else ""
        print(
            f"{store_folder(settings, name)}: {about['utterances']} utterances, "
            f"{minutes:.1f} minutes{skipped}; {made['pdfs']} pdfs"
        )
