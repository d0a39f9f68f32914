"""Where a corpus's alignments and packed stores lie."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig


def store_folder(config: DictConfig, name: str) -> Path:
    """The packed frame store of the set `name`."""
    return _tagged(config, "store") / name


def alignment_folder(config: DictConfig, name: str) -> Path:
    """The alignments of the set `name`."""
    return _tagged(config, "align") / name


def _tagged(config: DictConfig, kind: str) -> Path:
    tag = config.alignment.tag
    return Path(config.corpus.dir) / (kind if tag is None else f"{kind}-{tag}")
