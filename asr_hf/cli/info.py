"""Print versions, devices, and what data and runs there are.

usage: asr-hf info [RUN_FOLDER ...] [paths.data=DIR] [paths.exp=DIR]

Without run folders, all runs below paths.exp are listed.
"""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from asr_hf import __version__
from asr_hf.cli.compose import load_config
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.events import FILE_NAME as EVENTS
from asr_hf.runtime.events import read_events
from asr_hf.runtime.files import read_json
from asr_hf.runtime.resources import conf_dir, recipe_names

_PACKAGES = ("torch", "torchaudio", "hydra-core", "kaldifst", "kaldi-hmm-gmm", "kaldi-decoder")


def run(arguments: list[str]) -> None:
    """Print to standard output."""
    overrides = [a for a in arguments if "=" in a or a.startswith("-")]
    config = load_config(["+recipe=prompts", *overrides])
    folders = [Path(a) for a in arguments if a not in overrides]
    for folder in folders:
        if not (folder / EVENTS).exists():
            raise InputError(f"{folder}: no run folder", expected=f"a folder with {EVENTS}")
    _print_system()
    for corpus in sorted(Path(config.paths.data).glob("*/corpus.json")):
        stores = sorted(p.parent.name for p in corpus.parent.glob("store/*/store.json"))
        state = f"ready ({', '.join(stores)})" if stores else "not aligned yet"
        print(f"corpus {corpus.parent}: {state}")
    for folder in folders or sorted(p.parent for p in Path(config.paths.exp).rglob(EVENTS)):
        print(f"run {folder}: {_state(folder)}")


def _print_system() -> None:
    import torch

    print(f"asr-hf {__version__}, Python {platform.python_version()}, {platform.platform()}")
    print(", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES))
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    print(f"devices: {', '.join([f'CPU with {torch.get_num_threads()} threads', *gpus])}")
    print(f"configuration: {conf_dir()}; recipes: {', '.join(recipe_names())}")


def _state(folder: Path) -> str:
    """What a run has reached, in one line."""
    result: dict[str, Any] = {}
    if (folder / "result.json").exists():
        result = read_json(folder / "result.json")
    events = read_events(folder / EVENTS)
    if "heldout_loss" not in result:
        last = f"held-out loss {events[-1]['heldout_loss']:.4f} " if events else ""
        return f"unfinished, {last}after {len(events)} events"
    wer = (
        f", WER {result['wer']['percent']:.2f} % ({result['wer']['set']})"
        if "wer" in result
        else ""
    )
    return (
        f"held-out loss {result['heldout_loss']:.4f}, "
        f"frame error {100 * result['heldout_frame_error']:.2f} %{wer}"
    )
