"""Packs the frame store of a set, unless the store is current."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from asr_hf.data.alignment import Alignments
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.store_writer import Transform, build_store
from asr_hf.runtime.artefact import current_or_make
from asr_hf.runtime.provenance import ArtefactSpec, Source
from asr_hf.runtime.skips import SkipList
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.layout import store_folder


def pack(
    settings: Settings,
    name: str,
    data: DataDir,
    features: Path,
    alignments: Callable[[], Alignments] | None,
    sources: Mapping[str, Source],
    transform: Transform | None = None,
    only_decoded: bool = False,
    logged: Collection[str] = (),
    num_pdfs: int = 0,
) -> dict[str, Any]:
    """Pack the frame store of a set, unless the store is current.

    Args:
        settings: settings of the command.
        name: name of the set.
        data: data directory of the set.
        features: folder of its features.
        alignments: reads the alignments of the set; None for a store without labels.
        sources: sources of the store, by their role.
        transform: further transformation of the normalised features; None for none.
        only_decoded: whether the set is only decoded; then `decode.max_skipped` limits how many
            utterances may be left out, else `alignment.max_skipped`.
        logged: skipped utterances that the log has named already.
        num_pdfs: number of pdfs, where a store without labels is trained on.

    Returns:
        The numbers of utterances, frames and pdfs, and the skipped utterances.

    Raises:
        InputError: features or alignments are damaged, or too many utterances are left out.
    """
    limit = "decode.max_skipped" if only_decoded else "alignment.max_skipped"
    max_skipped = (settings.decode if only_decoded else settings.alignment).max_skipped
    skips = SkipList(f"packing {name}", max_skipped, limit, logged=set(logged))

    def make(part: Path) -> dict[str, Any]:
        about = build_store(
            part,
            data,
            features,
            None if alignments is None else alignments(),
            settings.features.dtype,
            max_skipped,
            transform=transform,
            allow_pipes=settings.features.allow_pipes,
            logged=logged,
            num_pdfs=num_pdfs,
        )
        return {key: about[key] for key in ("utterances", "frames", "num_pdfs", "skipped")}

    spec = ArtefactSpec("frame store", {"features.dtype": settings.features.dtype}, sources)
    total = len(data.utterances)
    return current_or_make(
        store_folder(settings, name), spec, make, whole=True, skips=(skips, total)
    ).about
