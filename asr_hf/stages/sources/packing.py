"""Packs the frame store of a set, unless it is there from the same features and alignments."""

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
    alignments: Callable[[], Alignments] | None,
    sources: Mapping[str, Source],
    transform: Transform | None = None,
    only_decoded: bool = False,
    told: Collection[str] = (),
) -> dict[str, Any]:
    """Pack the store of a set, unless it is there from the same sources.

    Args:
        settings: settings of the command.
        name: of the set.
        data: its utterances.
        alignments: reads those of its utterances; None for a set that is only decoded.
        sources: what it is made from.
        transform: what else is done to the normalised features.
        only_decoded: whether the set is only decoded; then `decode.max_skipped` limits how many
            utterances may be left out, else `alignment.max_skipped`.
        told: utterances that the log said are skipped.

    Returns:
        What its record says of it.

    Raises:
        InputError: features or alignments are damaged, or too many utterances are left out.
    """
    limit = "decode.max_skipped" if only_decoded else "alignment.max_skipped"
    max_skipped = (settings.decode if only_decoded else settings.alignment).max_skipped
    skips = SkipList(f"packing {name}", max_skipped, limit, logged=set(told))

    def make(part: Path) -> dict[str, Any]:
        about = build_store(
            part,
            data,
            settings.corpus.dir / "fbank" / name,
            None if alignments is None else alignments(),
            settings.features.dtype,
            max_skipped,
            transform=transform,
            allow_pipes=settings.features.allow_pipes,
            logged=told,
        )
        return {key: about[key] for key in ("utterances", "frames", "num_pdfs", "skipped")}

    wanted = ArtefactSpec("frame store", {"features.dtype": settings.features.dtype}, sources)
    total = len(data.utterances)
    return current_or_make(
        store_folder(settings, name), wanted, make, whole=True, skips=(skips, total)
    ).about
