"""Print versions, devices, and what data and runs there are.

commonest use: asr-hf info
usual time:    3 seconds

usage: asr-hf info [RUN_FOLDER ...] [paths.data=DIR] [paths.exp=DIR]

Without run folders, the command lists all runs below paths.exp. Put its output into a report of a
fault.
"""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from asr_hf import __version__
from asr_hf.cli.compose import load_config, with_search_path
from asr_hf.cli.groups import groups
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.events import FILE_NAME as EVENTS
from asr_hf.runtime.events import read_events
from asr_hf.runtime.files import read_json
from asr_hf.runtime.resources import conf_dir

# Files that show that a folder below paths.data is a corpus, and how many levels below it they are.
_SIGNS = (("*/corpus.json", 0), ("*/fbank/*/fbank.json", 2), ("*/store*/*/store.json", 2))

_PACKAGES = ("torch", "hydra-core", "kaldifst", "kaldi-hmm-gmm")


def run(arguments: list[str]) -> None:
    """Print the state of the system, the corpora and the runs.

    Raises:
        InputError: an argument is no run folder.
    """
    overrides = [a for a in arguments if "=" in a or a.startswith("-")]
    config = load_config(["+recipe=prompts", *overrides])
    folders = [Path(a) for a in arguments if a not in overrides]
    for folder in folders:
        if not (folder / EVENTS).exists():
            raise InputError(f"{folder}: no run folder", expected=f"a folder with {EVENTS}")
    data = Path(config.paths.data)
    _print_system(groups(with_search_path(overrides))["recipe"])
    for corpus in sorted({p.parents[n] for at, n in _SIGNS for p in data.glob(at)}):
        print(f"corpus {corpus}: {corpus_state(corpus)}")
    for folder in folders or sorted(p.parent for p in Path(config.paths.exp).rglob(EVENTS)):
        print(f"run {folder}: {_state(folder)}")


def corpus_state(folder: Path) -> str:
    """Describe in one line what a corpus has: features, alignments and lattices, by set."""
    steps = ["prepared"] if (folder / "corpus.json").exists() else []
    if sets := _sets(folder, "fbank/*/fbank.json"):
        steps.append(f"features of {sets}")
    for kind, name in (("store", "aligned"), ("lattices", "lattices")):
        for place in sorted(folder.glob(f"{kind}*")):
            tag = place.name.removeprefix(kind)
            sets = _sets(place, f"*/{kind}.json")
            if sets and (not tag or tag.startswith("-")):
                steps.append(f"{name}{tag.replace('-', ' ', 1)}: {sets}")
    aligned = any(step.startswith("aligned") for step in steps)
    return "; ".join([*steps, *(() if aligned else ("not aligned yet",))])


def _sets(folder: Path, pattern: str) -> str:
    return ", ".join(sorted(path.parent.name for path in folder.glob(pattern)))


def _print_system(recipes: list[str]) -> None:
    import torch

    from asr_hf.criteria import compiled
    from asr_hf.data import backend

    print(f"asr-hf {__version__}, Python {platform.python_version()}, {platform.platform()}")
    print(", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES))
    print(backend.in_use())
    print(compiled.in_use())
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    print(f"devices: {', '.join([f'CPU with {torch.get_num_threads()} threads', *gpus])}")
    print(f"configuration: {conf_dir()}; recipes: {', '.join(recipes)}")


def _state(folder: Path) -> str:
    """Describe in one line what a run has reached."""
    result: dict[str, Any] = {}
    if (folder / "result.json").exists():
        result = read_json(folder / "result.json")
    events = read_events(folder / EVENTS)
    if "heldout_loss" not in result:
        losses = [e["heldout_loss"] for e in events if e.get("heldout_loss") is not None]
        last = f"held-out loss {losses[-1]:.4f} " if losses else ""
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
