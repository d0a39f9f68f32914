"""Makes a criterion's targets for the frames of a batch: labels, or labels and lattices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from asr_hf.criteria.lattice_batch import LatticeBatch
from asr_hf.criteria.numerators import TranscriptTargets
from asr_hf.criteria.sequence import SequenceTargets
from asr_hf.criteria.transcript_batch import TranscriptBatch
from asr_hf.data.lattice_store import LatticeStore, of_phase
from asr_hf.data.store import FrameStore
from asr_hf.data.transcript_store import TranscriptStore
from asr_hf.hf.objective import Split
from asr_hf.models.acoustic import AcousticModel
from asr_hf.runtime.errors import InputError
from asr_hf.training.feeding.frame_source import FrameSource
from asr_hf.training.feeding.units import UnitBatch, Units


class TargetSource(Protocol):
    """Makes a criterion's targets.

    Attributes:
        whole_utterances: whether targets belong to whole utterances, which then stay uncut.
        every: k, where targets belong to every k-th frame of an utterance.
    """

    whole_utterances: bool
    every: int

    def utterances(self, split: Split) -> np.ndarray | None:
        """Return the numbers of the store's utterances with targets, rising; None for all."""
        ...

    def phases(self, split: Split) -> int:
        """Return how many of the `every` first frames may be the first that has a target."""
        ...

    def of(self, split: Split, batch: UnitBatch) -> Any:
        """Make the targets of a batch of units."""
        ...


class LabelTargets:
    """The labels [F] of the frames."""

    whole_utterances, every = False, 1

    def utterances(self, split: Split) -> np.ndarray | None:
        """See `TargetSource`."""
        return None

    def phases(self, split: Split) -> int:
        """See `TargetSource`."""
        return 1

    def of(self, split: Split, batch: UnitBatch) -> Tensor:
        """See `TargetSource`."""
        return batch.labels


class LatticeTargets:
    """Labels and lattices of whole utterances.

    Args:
        stores: the frames with their labels.
        lattices: the lattices of some or all of the stores' utterances.
        used: numbers of each store's utterances whose lattice is used, rising.
        model: the model, whose log priors turn posteriors into likelihoods.
    """

    whole_utterances = True

    def __init__(
        self,
        stores: Mapping[Split, FrameStore],
        lattices: Mapping[Split, LatticeStore],
        used: Mapping[Split, np.ndarray],
        model: AcousticModel,
    ) -> None:
        self._stores, self._lattices, self._used, self._model = stores, lattices, used, model
        self.every = model.subsampling
        self._phone_of_pdf = {
            split: torch.from_numpy(phones_of_pdfs(store))
            for split, store in lattices.items()
            if not store.has_phones
        }

    def utterances(self, split: Split) -> np.ndarray | None:
        """See `TargetSource`."""
        return self._used[split]

    def phases(self, split: Split) -> int:
        """See `TargetSource`."""
        return self._lattices[split].phases

    def of(self, split: Split, batch: UnitBatch) -> SequenceTargets:
        """See `TargetSource`."""
        store, utterances = self._lattices[split], self._stores[split].utterances
        labels, names = batch.labels, [utterances[u] for u in batch.utterances]
        phases = [0] * len(names) if batch.phases is None else batch.phases.tolist()
        packed = LatticeBatch.pack(
            [
                piece
                for name, phase in zip(names, phases, strict=True)
                for piece in store.pieces(of_phase(name, phase))
            ],
            store.pdf_of,
            store.phone_of,
            labels.device,
        )
        if store.has_phones:
            spoken = np.concatenate([store.phones(name) for name in names]).astype(np.int64)
            phones = torch.from_numpy(spoken).to(labels.device)
        else:
            phones = self._phone_of_pdf[split].to(labels.device)[labels]
        return SequenceTargets(labels, packed, self._model.log_priors, phones, store.silence_phones)


class GraphTargets:
    """Graphs of the transcripts of whole utterances.

    Args:
        stores: the frames.
        graphs: the graphs of some or all of the stores' utterances.
        used: numbers of each store's utterances whose graph is used, rising.
        every: k, where the model emits every k-th frame.
    """

    whole_utterances = True

    def __init__(
        self,
        stores: Mapping[Split, FrameStore],
        graphs: Mapping[Split, TranscriptStore],
        used: Mapping[Split, np.ndarray],
        every: int,
    ) -> None:
        self._stores, self._graphs, self._used, self.every = stores, graphs, used, every

    def utterances(self, split: Split) -> np.ndarray | None:
        """See `TargetSource`."""
        return self._used[split]

    def phases(self, split: Split) -> int:
        """See `TargetSource`."""
        return 1

    def of(self, split: Split, batch: UnitBatch) -> TranscriptTargets:
        """See `TargetSource`."""
        graphs, names = self._graphs[split], self._stores[split].utterances
        packed = [graphs.graph(names[u]) for u in batch.utterances]
        return TranscriptTargets(TranscriptBatch.pack(packed, batch.batch.features.device))


def cut_units(
    sources: Mapping[Split, FrameSource], stride: int, targets: TargetSource
) -> dict[Split, Units]:
    """Cut stores into units that have targets (see `Units`).

    Args:
        sources: bring the stores' frames to the device.
        stride: stride of the units.
        targets: targets of the units.

    Returns:
        The units of each part of the data.

    Raises:
        InputError: targets are those of whole utterances, and the stride cuts these up.
    """
    if targets.whole_utterances and stride != 1:
        raise InputError(
            f"frame_stride={stride}: the criterion is one of whole utterances",
            expected="frame_stride=1",
        )
    return {
        split: Units(
            source,
            stride,
            targets.utterances(split),
            every=targets.every,
            phases=targets.phases(split),
        )
        for split, source in sources.items()
    }


def phones_of_pdfs(store: LatticeStore) -> np.ndarray:
    """Find the phone of each pdf.

    Args:
        store: lattices whose transition ids tell pdfs and phones.

    Returns:
        The phone of each pdf [pdfs], int64.

    Raises:
        InputError: a pdf is shared by several phones, so that its labels do not say which.
    """
    pairs = np.unique(np.stack([store.pdf_of[1:], store.phone_of[1:]], 1), axis=0)
    pdfs, phones = pairs.T
    shared = pdfs[:-1][np.diff(pdfs) == 0]
    if len(shared):
        raise InputError(
            f"{store.folder}: pdf {shared[0]} belongs to several phones",
            expected="phones.bin with the phones of what was said, as pdfs do not tell them",
            remedy="make the lattices again with: asr-hf lattices",
        )
    return np.asarray(phones, np.int64)
