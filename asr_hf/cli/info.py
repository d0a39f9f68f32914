"""Print versions, devices, and what data and runs there are."""

from __future__ import annotations

import platform
from importlib import metadata
from pathlib import Path

from asr_hf import __version__
from asr_hf.cli.compose import load_config
from asr_hf.runtime.files import read_json
from asr_hf.runtime.resources import conf_dir, recipe_names

_PACKAGES = ("torch", "torchaudio", "hydra-core", "kaldifst", "kaldi-hmm-gmm", "kaldi-decoder")


def run(arguments: list[str]) -> None:
    """Print to standard output."""
    config = load_config(["+recipe=prompts", *arguments])
    import torch

    print(f"asr-hf {__version__}, Python {platform.python_version()}, {platform.platform()}")
    print(", ".join(f"{name} {metadata.version(name)}" for name in _PACKAGES))
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    print(f"devices: CPU with {torch.get_num_threads()} threads{''.join(', ' + g for g in gpus)}")
    print(f"configuration: {conf_dir()}; recipes: {', '.join(recipe_names())}")
    for corpus in sorted(Path(config.paths.data).glob("*/corpus.json")):
        stores = sorted(p.parent.name for p in corpus.parent.glob("store/*/store.json"))
        state = f"ready ({', '.join(stores)})" if stores else "not aligned yet"
        print(f"corpus {corpus.parent}: {state}")
    for folder in sorted(Path(config.paths.exp).glob("**/result.json")):
        result = read_json(folder)
        wer = f", WER {result['wer']['percent']:.2f} %" if "wer" in result else ""
        print(f"run {folder.parent}: held-out {result['heldout_loss']:.4f}{wer}")
