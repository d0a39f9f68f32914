"""Where a corpus's alignments and packed stores lie."""

from __future__ import annotations

from pathlib import Path

from omegaconf import DictConfig


def store_folder(config: DictConfig, name: str) -> Path:
    """The packed frame store of the set `name`."""
    return Path(config.corpus.dir) / _tagged(config, "store") / name


def alignment_folder(config: DictConfig, name: str) -> Path:
    """The alignments of the set `name`."""
    return Path(config.corpus.dir) / _tagged(config, "align") / name


def clean_corpus(config: DictConfig) -> Path:
    """The folder of the corpus that a corpus of copies is made from."""
    return Path(config.paths.data) / str(config.corpus.clean)


def clean_alignment_folder(config: DictConfig, name: str) -> Path:
    """The alignments, under the same tag, of the clean set that the set `name` is made from."""
    made_of = config.corpus.augmentation.sets[name].of
    return clean_corpus(config) / _tagged(config, "align") / str(made_of)


def _tagged(config: DictConfig, kind: str) -> str:
    tag = config.alignment.tag
    return kind if tag is None else f"{kind}-{tag}"
