"""Extract filterbank features of every set of a corpus.

commonest use: asr-hf features +recipe=prompts
usual time:    10 to 20 seconds for 24 minutes of recordings on two cores

usage: asr-hf features +recipe=NAME [key=value ...]

The command writes <corpus.dir>/fbank/<set>. It keeps what is there already and still right.
"""

from __future__ import annotations

from pathlib import Path

from asr_hf.cli.compose import load_config
from asr_hf.cli.stage import run_stage


def run(arguments: list[str]) -> None:
    """Run the verb with its overrides, and print the features of each set."""
    config = load_config(arguments)
    for name, about in run_stage("features", config).items():
        minutes = about["frames"] * config.features.frame_shift / 60_000
        skipped = f", {len(about['skipped'])} skipped" if about["skipped"] else ""
        print(
            f"{Path(config.corpus.dir) / 'fbank' / name}: {about['utterances']} utterances, "
            f"{minutes:.1f} minutes{skipped}"
        )
