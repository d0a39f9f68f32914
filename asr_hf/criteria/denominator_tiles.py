"""Sums over all paths of a denominator graph by compiled loops, sixteen utterances at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from queue import SimpleQueue

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr_hf.criteria.denominator_paths import LOWEST, cut
from asr_hf.criteria.kernels.arc_rows import ArcRows, Floats
from asr_hf.criteria.kernels.denominator import Tile, backward, forward
from asr_hf.criteria.kernels.denominator_changes import backward_changes, forward_changes
from asr_hf.criteria.kernels.lanes import LANES

# Number of frames whose forward sums are held at once. Longer utterances go in blocks: a third pass
# over their frames takes a quarter of the time more.
_BLOCK = 64

Span = tuple[int, int]


class DenominatorTiles:
    """What `DenominatorPaths` computes, on CPUs, several times as fast.

    A tile is sixteen utterances side by side, one in each lane of the loops. Its sums of a frame
    fit in a core's cache. Tiles share nothing, so threads take them in turn, and an utterance's
    results depend on no other one.

    Args:
        graph: the graph.
        logits: outputs, log likelihoods of the frames up to a constant each, on the CPU [F, C].
        lengths: number of frames of each utterance [U], in the order of their frames.

    Raises:
        ValueError: outputs are fewer than the graph's pdfs, or frames than the utterances have.
            Compiled loops would not notice.
    """

    def __init__(self, graph: ArcRows, logits: Tensor, lengths: Tensor) -> None:
        frames, pdfs = int(lengths.sum()), 1 + max(graph.pdf.max(), graph.own_pdf.max())
        if logits.shape[0] != frames or logits.shape[1] < pdfs:
            raise ValueError(
                f"needs outputs [{frames}, {pdfs} or more], found {list(logits.shape)}"
            )
        self._rows = graph
        self._tops = logits.amax(dim=1)
        below = (logits - self._tops[:, None]).clamp_min_(LOWEST)
        self._likely = below.to(torch.from_numpy(graph.start).dtype).exp_()
        self._tiles = list(_tiles(self._likely.numpy(), lengths.numpy()))
        self._utterances = len(lengths)

    @cached_property
    def totals(self) -> Tensor:
        """Log of the weight of all paths of each utterance [U], float64."""

        def of_tile(tile: Tile, room: _Room) -> None:
            sums = room.sums[:2]
            self._start(sums)
            forward(self._rows, tile, (0, len(tile.frame)), sums, room.emission)

        self._over_tiles(of_tile)
        return self._of_scales()

    @cached_property
    def occupancies(self) -> Tensor:
        """Expected number of times that a frame takes a pdf [F, C]; a frame's add up to 1."""
        result = torch.empty_like(self._likely)

        def of_tile(tile: Tile, room: _Room) -> None:
            self._start(room.sums)
            room.beta.fill(1)

            def on(span: Span) -> None:
                forward(self._rows, tile, span, room.sums, room.emission)

            at_pdfs = (room.emission, room.counts, room.ahead)
            for span in _backwards(len(tile.frame), [room.sums], on):
                backward(self._rows, tile, span, room.sums, room.beta, at_pdfs, result.numpy())

        self._over_tiles(of_tile)
        self.totals = self._of_scales()
        return result

    def tangent(self, direction: Tensor) -> Tensor:
        """Return the derivative of the occupancies along a direction (see `DenominatorPaths`).

        Args:
            direction: change of the outputs [F, C].

        Returns:
            Change of the occupancies [F, C].

        Raises:
            ValueError: the direction is not of the outputs' shape.
        """
        if direction.shape != self.occupancies.shape:
            raise ValueError(
                f"needs a direction {list(self.occupancies.shape)}, found {list(direction.shape)}"
            )
        wide = direction.to(self.occupancies.dtype)
        along = wide - (self.occupancies * wide).sum(1, keepdim=True)
        result = torch.empty_like(along)

        def of_tile(tile: Tile, room: _Room) -> None:
            self._start(room.sums)
            room.sums_changes[0] = 0
            room.beta.fill(1)
            room.beta_changes.fill(0)
            given = (self._rows, tile, along.numpy())
            both, betas = (room.sums, room.sums_changes), (room.beta, room.beta_changes)

            def on(span: Span) -> None:
                forward_changes(*given, span, both, (room.emission, room.direction))

            at_pdfs = (room.emission, room.direction, room.counts)
            at_entries = (room.ahead, room.ahead_changes)
            for span in _backwards(len(tile.frame), both, on):
                backward_changes(*given, span, both, betas, at_pdfs, at_entries, result.numpy())

        self._over_tiles(of_tile, changes=True)
        return result

    def _start(self, sums: Floats) -> None:
        """Set the forward sums before the first frame."""
        sums[0] = self._rows.start[:, None]

    def _of_scales(self) -> Tensor:
        """Return the totals of all utterances [U], given the scales of each tile."""
        result, tops = np.zeros(self._utterances), self._tops.double().numpy()
        for tile in self._tiles:
            there = np.arange(len(tile.frame))[:, None] < tile.length
            logs = np.log(tile.scales.astype(np.float64)) + tops[tile.frame]
            used = tile.length > 0
            result[tile.utterance[used]] = np.where(there, logs, 0).sum(0)[used]
        return torch.from_numpy(result)

    def _over_tiles(self, work: Callable[[Tile, _Room], None], changes: bool = False) -> None:
        """Do some work on each tile, by as many threads as torch has."""
        threads = min(torch.get_num_threads(), len(self._tiles))
        frames = min(_BLOCK, max(len(tile.frame) for tile in self._tiles))
        rooms: SimpleQueue[_Room] = SimpleQueue()
        for _ in range(threads):
            rooms.put(_Room(self._rows, self._likely, frames, changes))

        def in_room(tile: Tile) -> None:
            room = rooms.get()
            try:
                work(tile, room)
            finally:
                rooms.put(room)

        if threads == 1:
            for tile in self._tiles:
                in_room(tile)
            return
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(in_room, self._tiles):
                pass


class _Room:
    """Memory for the sums of one tile.

    Args:
        graph: the graph.
        likely: probabilities [F, C], for their number and type.
        frames: number of frames whose forward sums are held.
        changes: whether there is room for changes of sums as well.

    Attributes:
        sums: forward sums before each frame, and after the last one [frames + 1, S, LANES].
        beta: backward sums [S, LANES].
        ahead: probabilities of entries, with what follows [M, LANES].
        emission: probabilities of the outputs at a frame [C, LANES].
        direction: change of the outputs at a frame [C, LANES].
        counts: occupancies of a frame, or their change [C, LANES].
        sums_changes: changes of `sums`.
        beta_changes: changes of `beta`.
        ahead_changes: changes of `ahead`.
    """

    def __init__(self, graph: ArcRows, likely: Tensor, frames: int, changes: bool) -> None:
        def empty(*shape: int) -> Floats:
            # By torch, which counts what a run needs.
            array: Floats = torch.empty(*shape, LANES, dtype=likely.dtype).numpy()
            return array

        states, entries, pdfs = len(graph.stay), len(graph.pdf), likely.shape[1]
        self.sums, self.beta = empty(frames + 1, states), empty(states)
        self.ahead, self.emission, self.counts = empty(entries), empty(pdfs), empty(pdfs)
        self.direction = empty(pdfs if changes else 0)
        self.sums_changes = empty(frames + 1 if changes else 0, states)
        self.beta_changes = empty(states if changes else 0)
        self.ahead_changes = empty(entries if changes else 0)


def _backwards(
    frames: int, kept: Sequence[Floats], forwards: Callable[[Span], None]
) -> Iterator[Span]:
    """Take forward sums over all frames; then yield blocks of frames whose sums are there.

    Args:
        frames: number of frames.
        kept: where sums of a block go [_BLOCK + 1, S, LANES]; the first ones are given.
        forwards: takes the sums over a block, from its first frame to the one after its last.

    Yields:
        The blocks, the last first.
    """
    spans = [(block.start, block.stop) for block in cut(frames, _BLOCK)]
    borders: list[list[Floats]] = []
    for start, stop in spans:
        forwards((start, stop))
        if stop < frames:
            borders.append([sums[0].copy() for sums in kept])
            for sums in kept:
                sums[0] = sums[stop - start]
    yield spans[-1]
    for span, border in zip(spans[-2::-1], borders[::-1], strict=True):
        for sums, first in zip(kept, border, strict=True):
            sums[0] = first
        forwards(span)
        yield span


def _tiles(likely: Floats, lengths: NDArray[np.int64]) -> Iterator[Tile]:
    """Put utterances side by side, those of like lengths together."""
    starts = np.cumsum(lengths) - lengths
    order = np.argsort(-lengths, kind="stable")
    for first in range(0, len(order), LANES):
        own = order[first : first + LANES]
        # Lanes without an utterance follow the last one.
        utterance = np.pad(own, (0, LANES - len(own)), mode="edge")
        length = np.where(np.arange(LANES) < len(own), lengths[utterance], 0)
        time = np.arange(lengths[own[0]])[:, None]
        frame = starts[utterance] + np.minimum(time, lengths[utterance] - 1)
        scales, weights = (np.empty(frame.shape, likely.dtype) for _ in range(2))
        yield Tile(likely, frame, length, utterance, scales, weights)
