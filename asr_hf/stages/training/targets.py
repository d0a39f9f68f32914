"""Opens the targets that a criterion needs besides the frames: labels or lattices."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from asr_hf.criteria.needs import Targets
from asr_hf.data.lattice_store import LatticeStore
from asr_hf.data.store import FrameStore
from asr_hf.data.transcript_store import HEADER, TranscriptStore
from asr_hf.hf.objective import Split
from asr_hf.models.acoustic import AcousticModel
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.skips import SkipList
from asr_hf.settings.settings import Settings
from asr_hf.stages.training.declared import criterion_needs
from asr_hf.stages.training.target_folders import TARGET_FOLDERS, TargetFolders
from asr_hf.training.feeding.targets import (
    GraphTargets,
    LabelTargets,
    LatticeTargets,
    TargetSource,
)


def open_targets(
    settings: Settings, stores: Mapping[Split, FrameStore], model: AcousticModel
) -> TargetSource:
    """Open the targets of the criterion for the frames in `stores`.

    Args:
        settings: settings of the command.
        stores: frame store of each part of the data.
        model: model that is trained.

    Returns:
        The source of targets.

    Raises:
        InputError: lattices are missing or damaged, or too many utterances have no usable one.
    """
    match criterion_needs(settings.criterion).targets:
        case Targets.LABELS:
            return LabelTargets()
        case Targets.LATTICES:
            return _lattice_targets(settings, stores, model)
        case Targets.NUMERATORS:
            return _numerator_targets(settings, stores, model)


def _lattice_targets(
    settings: Settings, stores: Mapping[Split, FrameStore], model: AcousticModel
) -> LatticeTargets:
    kind, options = TARGET_FOLDERS[Targets.LATTICES], settings.lattices
    limit = options.max_skipped, "lattices.max_skipped"
    folders = {split: kind.of(settings, split) for split in stores}
    return _opened(kind, folders, stores, model, limit, options.max_frames)


def _numerator_targets(
    settings: Settings, stores: Mapping[Split, FrameStore], model: AcousticModel
) -> LatticeTargets | GraphTargets:
    kind = TARGET_FOLDERS[Targets.NUMERATORS]
    folders = {split: kind.of(settings, split) for split in stores}
    if all((folder / HEADER).is_file() for folder in folders.values()):
        return _transcript_targets(settings, folders, stores, model.subsampling)
    for folder in folders.values():
        if not (folder / "lattices.json").is_file():
            raise InputError(
                f"{folder}: no numerator graphs",
                expected="what asr-hf align makes with alignment.chain",
                remedy=f"{kind.verb} with the same overrides makes them",
            )
    limit = settings.alignment.max_skipped, "alignment.max_skipped"
    return _opened(kind, folders, stores, model, limit, None)


def _transcript_targets(
    settings: Settings,
    folders: Mapping[Split, Path],
    stores: Mapping[Split, FrameStore],
    every: int,
) -> GraphTargets:
    graphs, used = {}, {}
    limit = settings.alignment.max_skipped, "alignment.max_skipped"
    for split, store in stores.items():
        opened = graphs[split] = TranscriptStore.open(folders[split])
        _check_pdfs(opened.folder, opened.num_pdfs, store, "asr-hf align")
        used[split] = usable(store, opened, every, SkipList(f"graphs of {opened.folder}", *limit))
    return GraphTargets(stores, graphs, used, every)


def _opened(
    kind: TargetFolders,
    folders: Mapping[Split, Path],
    stores: Mapping[Split, FrameStore],
    model: AcousticModel,
    limit: tuple[float, str],
    max_frames: int | None,
) -> LatticeTargets:
    """Open the lattices or graphs of each part of the data, and find the usable ones.

    Args:
        kind: what they are.
        folders: folder of each part's.
        stores: frame store of each part.
        model: model that is trained.
        limit: largest share that may be skipped, and its key.
        max_frames: see `usable`.

    Returns:
        The source of targets.
    """
    graphs, used = {}, {}
    for split, store in stores.items():
        graphs[split] = LatticeStore.open(folders[split])
        _check_pdfs(folders[split], 1 + int(graphs[split].pdf_of[1:].max()), store, kind.verb)
        skips = SkipList(f"{kind.what} of {folders[split]}", *limit)
        used[split] = usable(store, graphs[split], model.subsampling, skips, max_frames)
    return LatticeTargets(stores, graphs, used, model)


def _check_pdfs(folder: Path, num_pdfs: int, store: FrameStore, verb: str) -> None:
    """Refuse lattices or graphs with more pdfs than the store of their utterances has.

    Raises:
        InputError: they have more.
    """
    if num_pdfs > store.num_pdfs:
        raise InputError(
            f"{folder}: {num_pdfs} pdfs",
            expected=f"{store.num_pdfs}, as in {store.folder}",
            remedy=f"make them again with: {verb}",
        )


def usable(
    store: FrameStore,
    lattices: LatticeStore | TranscriptStore,
    every: int,
    skips: SkipList,
    max_frames: int | None = None,
) -> np.ndarray:
    """Return the numbers of the utterances whose lattices or graphs can be trained on.

    Such a lattice has as many frames as the model emits for the utterance, and at most
    `max_frames`. Utterances that `lattices.utterances` left out are not counted as skipped.

    Args:
        store: frame store of the utterances.
        lattices: lattices or graphs of the utterances.
        every: k, where the model emits every k-th frame.
        skips: list that the other utterances are added to.
        max_frames: largest number of frames; longer utterances would not fit into memory. None
            takes any.

    Raises:
        InputError: too many utterances are skipped.
    """
    lengths = -(-np.diff(store.offsets) // every)
    kept: list[int] = []
    skipped, drawn = lattices.about.get("skipped", {}), lattices.about.get("drawn", len(lengths))
    for number, (name, num_frames) in enumerate(
        zip(store.utterances, lengths.tolist(), strict=True)
    ):
        if name not in lattices:
            if drawn == len(lengths) or name in skipped:
                skips.add(name, "has no lattice")
        elif (in_lattice := lattices.num_frames(name)) != num_frames:
            skips.add(name, f"its lattice has {in_lattice} frames, {num_frames} are needed")
        elif max_frames is not None and num_frames > max_frames:
            skips.add(name, f"{num_frames} frames, more than lattices.max_frames={max_frames}")
        else:
            kept.append(number)
    skips.check(drawn)
    return np.array(kept, dtype=np.int64)
