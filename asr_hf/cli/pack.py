"""Pack a run for transcription elsewhere.

commonest use: asr-hf pack exp/first first.asrhf
usual time:    5 seconds

usage: asr-hf pack exp/RUN FILE.asrhf [key=value ...]

The file holds network, graph, words, features and decoding weights. It needs neither the corpus nor
the run: on any machine, asr-hf transcribe FILE.asrhf takes it in place of a run folder. If the name
does not end in .asrhf, the command makes a folder with the same content. The pack also keeps the
settings of the search that you give here (decode.beam, decode.max_active).
"""

from __future__ import annotations

from pathlib import Path

from asr_hf.cli.options import CONFIG_DIR, split_options
from asr_hf.cli.run_settings import load_run_config
from asr_hf.cli.stage import run_stage
from asr_hf.runtime.errors import InputError


def run(arguments: list[str]) -> None:
    """Pack a run.

    Raises:
        InputError: there is no such run, it cannot be packed, or no place is named.
    """
    _, folders, rest = split_options("pack", arguments, CONFIG_DIR)
    overrides = [*folders, *(a for a in rest if "=" in a)]
    places = [a for a in rest if "=" not in a]
    if len(places) != 2:
        raise InputError(
            f"asr-hf pack: {len(places)} names",
            expected="asr-hf pack exp/RUN FILE.asrhf",
        )
    run_dir, target = places
    config = load_run_config([run_dir, *overrides])
    size = run_stage("pack", config, target=Path(target))["bytes"]
    print(f"{target}: {size / 1e6:.1f} MB")
