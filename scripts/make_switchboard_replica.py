r"""Make a replica of Switchboard and its test sets from English voice prompts.

usage: python scripts/make_switchboard_replica.py FOLDER [--prompts data/prompts] [--seed 0]
       [--most N] [--truncated]

The folders, file names and formats are those of the licensed corpora, with every awkward case of
their transcripts, so that what works on it should work on them. It needs make data-prompts first.
Then

    make data-switchboard SWBD=FOLDER/LDC97S62 MSU=FOLDER/swb_ms98_transcriptions \
        EVAL2000=FOLDER/LDC2002S09 HUB5_REFS=FOLDER/LDC2002T43
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path

from asr_hf.runtime.ending import with_exit_code
from asr_hf.runtime.resources import load_recipe


@with_exit_code
def main(arguments: list[str]) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Make a replica of Switchboard.")
    parser.add_argument("folder", type=Path, help="whose content is replaced")
    parser.add_argument("--prompts", type=Path, default=Path("data/prompts"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most", type=int, help="prompts of each set, spread over it")
    parser.add_argument("--truncated", action="store_true", help="cut one recording in half")
    options = parser.parse_args(arguments)
    load_recipe("switchboard")
    replica = importlib.import_module("asr_hf_recipes.switchboard.replica.make")
    replica.make_replica(
        options.folder,
        replica.read_prompts(options.prompts, ["train", "dev"], options.most),
        replica.read_prompts(options.prompts, ["test"], options.most),
        replica.read_pronunciations(options.prompts, "en"),
        options.seed,
        options.truncated,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
