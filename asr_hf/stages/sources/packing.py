"""Packs the frame store of a set, unless it is there from the same features and alignments."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from asr_hf.data.alignment import Alignments
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.store_writer import Transform, build_store
from asr_hf.runtime.artefact import current_or_make
from asr_hf.runtime.provenance import ArtefactSpec, Source
from asr_hf.runtime.skips import SkipList
from asr_hf.stages.sources.layout import store_folder


def pack(
    config: DictConfig,
    name: str,
    data: DataDir,
    alignments: Callable[[], Alignments] | None,
    sources: Mapping[str, Source],
    transform: Transform | None = None,
    limit: str = "alignment.max_skipped",
    told: Collection[str] = (),
) -> dict[str, Any]:
    """Pack the store of a set; what its record says of it.

    Args:
        config: the configuration.
        name: of the set.
        data: its utterances.
        alignments: reads those of its utterances; None for a set that is only decoded.
        sources: what it is made from.
        transform: what else is done to the normalised features.
        limit: the key of the largest share of utterances that may be left out.
        told: utterances that the log said are skipped.

    Raises:
        InputError: features or alignments are damaged, or too many utterances are left out.
    """
    most = OmegaConf.select(config, limit)
    skips = SkipList(f"packing {name}", most, limit, logged=set(told))

    def make(part: Path) -> dict[str, Any]:
        about = build_store(
            part,
            data,
            Path(config.corpus.dir) / "fbank" / name,
            None if alignments is None else alignments(),
            config.features.dtype,
            most,
            transform=transform,
            allow_pipes=config.features.get("allow_pipes", False),
            logged=told,
        )
        return {key: about[key] for key in ("utterances", "frames", "num_pdfs", "skipped")}

    wanted = ArtefactSpec("frame store", {"features.dtype": config.features.dtype}, sources)
    total = len(data.utterances)
    return current_or_make(
        store_folder(config, name), wanted, make, whole=True, skips=(skips, total)
    ).about
