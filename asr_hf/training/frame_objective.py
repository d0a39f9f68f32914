"""Training as the optimisers see it: frame store + model + criterion."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asr_hf.criteria.base import Criterion
from asr_hf.curvature.affine import LayerTap, OnLayer
from asr_hf.curvature.chunks import ChunkMaker, CurvaturePath
from asr_hf.curvature.cuda_graph import Recorder
from asr_hf.curvature.gauss_newton import ChunkCurvature, OutputCurvature, SampleCurvature
from asr_hf.curvature.kronecker import KroneckerFactor
from asr_hf.curvature.precision import Precision, narrow_layers
from asr_hf.curvature.space import UNSHARDED, Space
from asr_hf.curvature.statistic import SamplePasses, Statistic, Sums
from asr_hf.data.counter_rng import frame_uniforms
from asr_hf.data.frame_batch import Augmentation
from asr_hf.data.store import FrameStore
from asr_hf.hf.objective import Curvature, LossSum, Sample, Split
from asr_hf.models.acoustic import AcousticModel
from asr_hf.runtime.errors import InputError
from asr_hf.training.batch_statistics import BatchStatistics
from asr_hf.training.feeding.frame_source import FrameSource, make_sources
from asr_hf.training.feeding.mask_draws import MaskDraws
from asr_hf.training.feeding.minibatches import shuffled
from asr_hf.training.feeding.targets import LabelTargets, TargetSource, cut_units
from asr_hf.training.feeding.units import UnitBatch
from asr_hf.training.loss_sums import LossSums
from asr_hf.training.parameter_places import parameter_places, weight_slices
from asr_hf.training.work_counter import WorkCounter

Minibatch = tuple[Any, Any, int]


class FrameObjective(WorkCounter):
    """Sums a criterion over utterances, a bounded number of frames at a time.

    Args:
        model: the network; its parameters are overwritten by each call's θ.
        criterion: loss, gradient and curvature at the outputs.
        stores: the packed frames and labels of the training and held-out data.
        chunk_frames: bound on the number of frames that go through the network at once; an
            utterance longer than this goes through alone.
        curvature_path: how Gauss-Newton products are computed.
        precision: arithmetic of Gauss-Newton products.
        block_frames: bound on the number of frames held for minibatches (see `ShuffledFrames`).
        sources: bring the stores' frames to the device; None reads them from the files.
        frame_stride: stride of the units that samples are drawn in (see `Units`).
        targets: makes the criterion's targets; the frames' labels by default.
        record: makes replays of curvature products; None computes each anew.
        seed: seed of the model's dropout and of the augmentation.
        augmentation: chooses training features that the network does not see; None shows them all.

    Raises:
        InputError: a size is out of range, or units are not what the criterion needs.
    """

    space: Space = UNSHARDED
    old_fisher: tuple[KroneckerFactor, ...] = ()

    def __init__(
        self,
        model: AcousticModel,
        criterion: Criterion[Any],
        stores: dict[Split, FrameStore],
        chunk_frames: int = 8192,
        curvature_path: CurvaturePath = CurvaturePath.AUTO,
        precision: Precision = Precision.FP32,
        block_frames: int = 1 << 22,
        sources: dict[Split, FrameSource] | None = None,
        frame_stride: int = 1,
        targets: TargetSource | None = None,
        record: Recorder | None = None,
        seed: int = 0,
        augmentation: Augmentation | None = None,
    ) -> None:
        super().__init__()
        if chunk_frames < 1:
            raise InputError(f"runtime.chunk_frames={chunk_frames}", expected="1 or more")
        self.targets = targets or LabelTargets()
        self.model, self.criterion, self.stores, self.seed = model, criterion, stores, seed
        self._statistics = BatchStatistics(model)
        self.chunk_frames = chunk_frames
        self.precision, self.gradient_precision = precision, Precision.FP32
        self._record = record
        self._curvature_chunk = ChunkMaker(model, curvature_path)
        self.num_parameters, self.device = model.flat.numel(), model.flat.device
        self.layers = tuple(model.affine_layers().values())
        self.parameters, self.weights = parameter_places(model), weight_slices(model)
        self.pulled: tuple[slice, ...] = (slice(0, self.num_parameters),)
        # Given the number of frames of each chunk, how many chunks keep their activations.
        self.chunks_kept: Callable[[list[int]], int] = len
        self.sources = sources or make_sources(stores, self.device, max_bytes=0)
        self.units = cut_units(self.sources, frame_stride, self.targets)
        train = Split.TRAIN
        self._shuffled = shuffled(
            self.units[train], self.sources[train], block_frames, self.targets.whole_utterances
        )
        fill = model.input_mean[: stores[train].dim]
        self._draws = MaskDraws(stores[train], seed, model.dropout > 0, augmentation, fill)

    @contextmanager
    def in_one_chunk(self) -> Iterator[None]:
        """Let every sample of the block go through the network at once."""
        before, self.chunk_frames = self.chunk_frames, 1 << 62
        try:
            yield
        finally:
            self.chunk_frames = before

    @property
    def minibatch_bytes(self) -> int:
        """Bytes of the frames that minibatches are drawn from."""
        return self._shuffled.bytes

    def unit_frames(self, split: Split) -> np.ndarray:
        """Return the number of frames of each unit of `split` [U], int64."""
        return self.units[split].frame_counts

    def begin_iteration(self, iteration: int) -> None:
        """Drop other units from now on; see `Objective`."""
        self._draws.begin_iteration(iteration)

    @property
    def statistics(self) -> dict[str, Tensor]:
        """See `Objective`: those of batch normalisation layers, by their names in the model."""
        return self._statistics.tensors

    def renew_statistics(
        self, theta: Tensor, sample: Sample, total: Callable[[Tensor], Tensor] | None = None
    ) -> int:
        """Renew the batch statistics from `sample` at θ [n]; see `Objective`."""
        self._load(theta)

        def forward() -> None:
            for chunk in self.units[sample.split].batches(sample.units, self.chunk_frames):
                self.model(self.model.inputs(chunk.batch, chunk.index))
                self.frames_by_pass["loss"] += int(chunk.lengths.sum())

        return self._statistics.renew(forward, total)

    def common(self, value: float) -> float:
        """Return the value: there is one process."""
        return value

    def statistics_of_samples(self) -> AbstractContextManager[None]:
        """See `Objective`; statistics are those of a chunk, and follow it."""
        return self._statistics.by_minibatch()

    @torch.no_grad()
    def loss(self, theta: Tensor, sample: Sample) -> LossSum:
        """Return the loss summed over `sample` at θ [n]."""
        self._load(theta)
        sums = LossSums(self.device)
        for inputs, targets, lengths in self._chunks(sample):
            sums.add(self.criterion.loss(self.model(inputs), targets), lengths)
        self.frames_by_pass["loss"] += sums.num_frames
        return sums.result(self._order(sample))

    def gradient(self, theta: Tensor, sample: Sample) -> tuple[LossSum, Tensor]:
        """Return the loss and its gradient [n], both summed over `sample`."""
        self._load(theta)
        self.model.flat_grad.zero_()
        sums = LossSums(self.device)
        for inputs, targets, lengths in self._chunks(sample):
            with narrow_layers(self.device, self.gradient_precision):
                logits = self.model(inputs)
            loss, at_outputs = self.criterion.loss_and_gradient(logits, targets)
            sums.add(loss, lengths)
            logits.backward(at_outputs)
        self.frames_by_pass["gradient"] += sums.num_frames
        return sums.result(self._order(sample)), self.model.flat_grad.clone()

    def curvature(self, theta: Tensor, sample: Sample) -> Curvature:
        """Return the Gauss-Newton matrix at θ summed over `sample`; θ must not change in use."""
        self._load(theta)
        units = sample.units[self._order(sample)]
        chunks = self.units[sample.split].batches(units, self.chunk_frames)
        frame_counts = chunks.frame_counts
        kept = self.chunks_kept(frame_counts)

        def make(place: int, precision: Precision) -> ChunkCurvature:
            chunk = chunks[place]
            inputs = self._inputs(sample.split, chunk)
            targets = self.targets.of(sample.split, chunk)

            def at_outputs(logits: Tensor) -> OutputCurvature:
                return self.criterion.curvature(logits, targets)

            return self._curvature_chunk(inputs, at_outputs, precision)

        count, frames = partial(self.count, "curvature"), sum(frame_counts)
        return SampleCurvature(
            make, len(frame_counts), frames, count, self.precision, kept, self._record
        )

    def unit_gradients(self, theta: Tensor, sample: Sample) -> Iterator[tuple[int, Tensor]]:
        """Yield each unit's number of frames and its gradient [n]; the tensor is reused."""
        self._load(theta)
        for unit in self.units[sample.split].one_by_one(sample.units):
            self.model.flat_grad.zero_()
            logits = self.model(self._inputs(sample.split, unit))
            targets = self.targets.of(sample.split, unit)
            logits.backward(self.criterion.gradient(logits.detach(), targets))
            self.frames_by_pass["gradient"] += len(logits)
            yield len(logits), self.model.flat_grad

    def layer_gradients(
        self, theta: Tensor, sample: Sample, seed: int, on_input: OnLayer, on_gradient: OnLayer
    ) -> None:
        """Show the inputs of the affine layers and the gradients at their outputs.

        See `SamplePasses`. `seed` and a frame's number fix the label drawn for it.
        """
        self._load(theta)
        names = self.model.affine_layers()
        tap = LayerTap({name: self.model.get_submodule(name) for name in names})
        numbers = self.units[sample.split].frame_numbers(sample.units[self._order(sample)])
        uniforms, done = torch.from_numpy(frame_uniforms(seed, numbers)), 0
        for inputs, targets, _ in self._chunks(sample):
            with tap.tapped(on_input) as outputs:
                logits = self.model(inputs)
            drawn = uniforms[done : done + len(logits)].to(logits.device)
            at_outputs = self.criterion.sampled_gradient(logits.detach(), targets, drawn)
            for layer, g in enumerate(torch.autograd.grad(logits, outputs, at_outputs)):
                on_gradient(layer, g)
            done += len(logits)
        self.frames_by_pass["gradient"] += done

    def accumulate(self, theta: Tensor, sample: Sample, statistic: Statistic[Any]) -> Sums:
        """Return what `statistic` sums over all of `sample` at θ [n]."""
        return statistic.sums(
            SamplePasses(
                theta,
                partial(self.unit_gradients, theta, sample),
                partial(self.layer_gradients, theta, sample),
            )
        )

    def num_minibatches(self, batch_frames: int) -> int:
        """Return the number of minibatches of an epoch."""
        return self._shuffled.count(batch_frames)

    def minibatches(self, seed: int, epoch: int, batch_frames: int) -> Iterator[Minibatch]:
        """See `MinibatchObjective`; under a criterion of whole utterances, these are shuffled."""
        for number, unit in enumerate(self._shuffled.epoch(seed, epoch, batch_frames)):
            targets = self.targets.of(Split.TRAIN, unit)
            batch = self._draws.of_minibatch(unit, seed, epoch, number)
            yield self.model.inputs(batch, unit.index), targets, int(unit.lengths.sum())

    def minibatch_gradient(self, theta: Tensor, minibatch: Minibatch) -> tuple[Tensor, Tensor]:
        """Return the mean loss, not waited for, and its gradient [n], a tensor that is reused.

        Batch normalisation is by the minibatch, and the statistics for evaluation follow.
        """
        self._load(theta)
        inputs, targets, num_frames = minibatch
        self.model.flat_grad.zero_()
        with self._statistics.by_minibatch(), narrow_layers(self.device, self.gradient_precision):
            logits = self.model(inputs)
        loss, at_outputs = self.criterion.loss_and_gradient(logits, targets)
        logits.backward(at_outputs.div_(num_frames))
        self.frames_by_pass["gradient"] += num_frames
        return loss.total / num_frames, self.model.flat_grad

    @torch.no_grad()
    def _load(self, theta: Tensor) -> None:
        if theta.data_ptr() != self.model.flat.data_ptr():
            self.model.flat.copy_(theta)

    def _order(self, sample: Sample) -> np.ndarray:
        """Choose the order of the units: lattices of like lengths side by side.

        A pass over lattices takes as many steps as the longest of a chunk has frames.

        Returns:
            Places in the sample [U].
        """
        if not self.targets.whole_utterances:
            return np.arange(len(sample.units))
        return np.argsort(self.units[sample.split].frame_counts[sample.units], kind="stable")

    def _chunks(self, sample: Sample) -> Iterator[tuple[Any, Any, Tensor]]:
        """Yield the model's inputs, the targets and the unit lengths [U] of each chunk."""
        units = sample.units[self._order(sample)]
        for chunk in self.units[sample.split].batches(units, self.chunk_frames):
            targets = self.targets.of(sample.split, chunk)
            yield self._inputs(sample.split, chunk), targets, torch.from_numpy(chunk.lengths)

    def _inputs(self, split: Split, units: UnitBatch) -> Any:
        """Make the model's inputs; of training data, with what dropout is drawn by."""
        batch = self._draws.of_units(units) if split is Split.TRAIN else units.batch
        return self.model.inputs(batch, units.index)
