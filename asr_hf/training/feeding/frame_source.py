"""Brings utterances to the device: from its own memory, or from the files ahead of use."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import cached_property
from itertools import pairwise
from threading import Thread
from typing import TypeVar

import numpy as np
import torch

from asr_hf.data.frame_batch import FrameBatch
from asr_hf.data.store import FrameStore
from asr_hf.hf.objective import Split
from asr_hf.runtime.device import free_memory
from asr_hf.runtime.progress import progress

log = logging.getLogger(__name__)

T = TypeVar("T")

_SHARE = 0.5
_SHARE_OF_BUDGET_ON_CPU = 0.25
_COPIED_AT_ONCE = 1 << 20


class FrameSource:
    """The utterances of a store, wherever they lie, as batches on one device.

    Resident frames are copied to the device once, as they are stored, and their checksums are
    compared then. Others are read from the files, with their checksums, each time; with
    `prefetch`, a thread reads the next batch while the network works on the one before, and on a
    GPU copies it from page-locked memory on a stream of its own. Every way gives the same bits.

    Args:
        store: the packed frames.
        device: the device that batches are brought to.
        resident: whether all of the store stays on the device.
        prefetch: whether the next batch is read before it is asked for; useless when resident.
    """

    def __init__(
        self,
        store: FrameStore,
        device: torch.device,
        resident: bool = False,
        prefetch: bool = False,
    ) -> None:
        self.store, self.device, self.resident = store, device, resident
        self.prefetch = prefetch and not resident
        self._resident = _Resident(store, device) if resident else None
        on_gpu = self.prefetch and device.type == "cuda"
        self._copying = torch.cuda.Stream(device) if on_gpu else None  # type: ignore[no-untyped-call]

    def gather(self, units: np.ndarray) -> FrameBatch:
        """Return a batch of utterances side by side in the order given."""
        if self._resident is not None:
            return self._resident.gather(units)
        return self.store.gather(units, self.device)

    @property
    def resident_bytes(self) -> int:
        """Bytes of the features and labels that stay on the device."""
        return resident_size(self.store) if self.resident else 0

    @cached_property
    def whole(self) -> FrameBatch:
        """All utterances in the store's order; of resident ones the features are not copied."""
        return self.gather(np.arange(self.store.num_units))

    def batches(self, groups: Sequence[np.ndarray]) -> Batches:
        """Return one batch for each group of utterances, made when it is taken or just before."""
        return Batches(self, groups)

    def start(self, units: np.ndarray) -> Future[PendingBatch]:
        """Begin to gather utterances in a thread; the future holds their batch."""
        return _in_thread(lambda: self._fetch(units))

    def _fetch(self, units: np.ndarray) -> PendingBatch:
        host = self.store.read(units, pinned=self._copying is not None)
        if self._copying is None:
            return PendingBatch(host.to(self.device), None)
        with torch.cuda.stream(self._copying):
            return PendingBatch(host.to(self.device), self._copying.record_event())


class PendingBatch:
    """A batch whose copy to the device may still be under way.

    Args:
        batch: the batch on the device.
        copied: event of the end of its copy; None where the copy is done.
    """

    def __init__(self, batch: FrameBatch, copied: torch.cuda.Event | None) -> None:
        self._batch, self._copied = batch, copied

    def take(self) -> FrameBatch:
        """Return the batch for work on the current stream, which waits; the host does not."""
        if self._copied is not None:
            stream = torch.cuda.current_stream(self._batch.features.device)
            stream.wait_event(self._copied)
            for tensor in self._batch.tensors:
                # Its memory belongs to the copying stream, which must not reuse it too early.
                tensor.record_stream(stream)
        return self._batch


class Batches:
    """The batches of groups of utterances, in any order; going forward, the next is read ahead."""

    def __init__(self, source: FrameSource, groups: Sequence[np.ndarray]) -> None:
        self._source, self._groups = source, groups
        self._next: tuple[int, Future[PendingBatch]] | None = None

    def __len__(self) -> int:
        return len(self._groups)

    def __iter__(self) -> Iterator[FrameBatch]:
        return (self[place] for place in range(len(self)))

    def __getitem__(self, place: int) -> FrameBatch:
        if self._next is not None and self._next[0] == place:
            batch = self._next[1].result().take()
        else:
            batch = self._source.gather(self._groups[place])
        self._next = None
        if self._source.prefetch and place + 1 < len(self):
            self._next = place + 1, self._source.start(self._groups[place + 1])
        return batch


def _in_thread(work: Callable[[], T]) -> Future[T]:
    """Do `work` in a thread that ends with it; the future gets its result or error."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=run, name="asr-hf-read-ahead", daemon=True).start()
    return future


class _Resident:
    """All features [N, D] of a store on the device, and labels [N] if it has any."""

    def __init__(self, store: FrameStore, device: torch.device) -> None:
        self._offsets = store.offsets
        size, dtype = store.num_frames, getattr(torch, store.dtype.name)
        self._features = torch.empty((size, store.dim), dtype=dtype, device=device)
        self._labels = torch.empty(size * store.labelled, dtype=torch.int32, device=device)
        cuts = np.searchsorted(store.offsets, np.arange(0, size, _COPIED_AT_ONCE))
        edges = np.unique(np.append(cuts, store.num_units)).tolist()
        for first, last in progress(list(pairwise(edges)), desc=f"copying {store.folder.name}"):
            batch = store.gather(np.arange(first, last), device)
            place = slice(int(store.offsets[first]), int(store.offsets[last]))
            self._features[place] = batch.features
            if store.labelled:
                self._labels[place] = batch.labels

    def gather(self, units: np.ndarray) -> FrameBatch:
        """Return utterances side by side; the host says where they lie and waits for nothing."""
        firsts, lasts = self._offsets[units], self._offsets[units + 1]
        lengths = lasts - firsts
        ends = np.cumsum(lengths)
        total = int(lengths.sum())
        table = torch.from_numpy(np.stack([firsts, ends - lengths, ends, lengths]))
        if self._features.is_cuda:
            table = table.pin_memory()
        table = table.to(self._features.device, non_blocking=True)
        first, start, end = torch.repeat_interleave(table[:3], table[3], 1, output_size=total)
        if total and (firsts[1:] == lasts[:-1]).all():
            row = slice(int(firsts[0]), int(lasts[-1]))
            return FrameBatch(self._features[row], self._labels[row].long(), start, end)
        rows = torch.arange(total, device=table.device) + (first - start)
        # Whole rows at once: several times faster on a CPU than indexing.
        features = self._features.index_select(0, rows)
        labels = self._labels.index_select(0, rows) if len(self._labels) else self._labels
        return FrameBatch(features, labels.long(), start, end)


def resident_size(store: FrameStore) -> int:
    """Return the bytes that a store takes on the device: features, and an int32 label a frame."""
    return store.num_frames * (store.frame_bytes + 4)


def room_for_features(
    device: torch.device, requested: int | None, budget: int | None, sharing: int = 1
) -> int:
    """Decide how many bytes of features may stay on `device`.

    Args:
        device: the device.
        requested: number of bytes asked for; None takes half of the free memory, or within a budget
            on the CPU a quarter of that, whatever is free: what is decided there sets the size of
            chunks, which must not change from run to run.
        budget: bytes that the process may take in all; None takes all there are.
        sharing: number of processes that share the CPU's memory; each keeps features of its own.

    Returns:
        Number of bytes.
    """
    if requested is not None:
        return requested
    if device.type != "cuda":
        if budget is not None:
            return int(_SHARE_OF_BUDGET_ON_CPU * budget)
        return int(_SHARE * free_memory() / sharing)
    free, _ = torch.cuda.mem_get_info(device)
    return int(_SHARE * min(free, free if budget is None else budget))


def make_sources(
    stores: Mapping[Split, FrameStore], device: torch.device, max_bytes: int
) -> dict[Split, FrameSource]:
    """Keep stores on `device` as far as `max_bytes` go, the smaller first; stream the others."""
    elsewhere = "streamed ahead of use" if prefetching(device) else "read from the files each time"
    sources = {}
    for split, store in sorted(stores.items(), key=lambda item: item[1].num_frames):
        size = resident_size(store)
        resident = size <= max_bytes
        max_bytes -= size if resident else 0
        sources[split] = FrameSource(store, device, resident, prefetch=prefetching(device))
        if device.type == "cuda" or not resident:
            log.info(
                "%s features: %.2f GB, %s",
                split.value,
                size / 1e9,
                f"kept on {device}" if resident else elsewhere,
            )
    return sources


def prefetching(device: torch.device) -> bool:
    """Say whether reading ahead in a thread pays: on a GPU, which would wait for the copy.

    On a CPU reading is a hundredth of the work even from a cold disk.

    Returns:
        True on a GPU.
    """
    return device.type == "cuda"
