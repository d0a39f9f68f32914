"""Layers that normalise the outputs of hidden layers, without parameters."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from asr_hf.curvature.normalisation import (
    EPSILON,
    RMS_EPSILON,
    Normalisation,
    NormalisedRows,
    NormaliseRows,
    ProjectedRows,
    ScaledRows,
)

# Weight of what batch statistics were before, once there have been ten measurements; before that
# they are the mean of all measurements.
STATISTICS_DECAY = 0.9


class NormalisationLayer(nn.Module):
    """Normalises rows of units."""

    @abstractmethod
    def forward(self, outputs: Tensor, used: Tensor | None = None) -> Tensor:
        """Normalise the outputs of a layer.

        Args:
            outputs: outputs of the activation [T, U].
            used: whether a logit depends on a row [T]; None where one does on each.

        Returns:
            Normalised rows [T, U].
        """

    @abstractmethod
    def linearised(self, outputs: Tensor) -> NormalisedRows:
        """Return the normalised rows of `outputs` [T, U] and the derivative there."""


class RowNormalisation(NormalisationLayer):
    """Gives each row a mean square of one, or zero mean and unit variance.

    Zhang & Sennrich (2019) and Ba, Kiros & Hinton (2016), without their learnt scales and shifts.

    Args:
        centred: whether the mean of each row is taken out first.
    """

    def __init__(self, centred: bool) -> None:
        super().__init__()
        self.centred = centred

    @property
    def epsilon(self) -> float:
        """What is added to mean squares."""
        return EPSILON if self.centred else RMS_EPSILON

    def forward(self, outputs: Tensor, used: Tensor | None = None) -> Tensor:
        """See `NormalisationLayer`."""
        # Typed in newer releases of torch only.
        apply: Callable[..., Any] = NormaliseRows.apply
        rows: Tensor = apply(outputs, self.centred)[0]
        return rows

    def linearised(self, outputs: Tensor) -> ProjectedRows:
        """See `NormalisationLayer`."""
        return ProjectedRows(outputs, self.centred)


class BatchNormalisation(NormalisationLayer):
    """Gives each unit zero mean and unit variance over frames (Ioffe & Szegedy 2015).

    Mean and variance are buffers, which stay as they are until `renew`: with them fixed, frames do
    not depend on one another. In `by_minibatch` they are those of the rows at hand, gradients go
    through them, and the buffers follow.

    Args:
        units: number of units.
    """

    mean: Tensor
    variance: Tensor
    renewals: Tensor

    def __init__(self, units: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(units))
        self.register_buffer("variance", torch.ones(units))
        self.register_buffer("renewals", torch.zeros((), dtype=torch.int64))
        self._by_minibatch = False
        self._sums: Tensor | None = None

    @property
    def scale(self) -> Tensor:
        """Factor of each unit [U] after its mean is taken out."""
        return torch.rsqrt(self.variance + EPSILON)

    def forward(self, outputs: Tensor, used: Tensor | None = None) -> Tensor:
        """See `NormalisationLayer`."""
        if self._sums is not None:
            self._add(outputs if used is None else outputs[used], self._sums)
        if not self._by_minibatch:
            return ((outputs - self.mean) * self.scale).to(outputs.dtype)
        wide = outputs.to(torch.promote_types(outputs.dtype, self.mean.dtype))
        variance, mean = torch.var_mean(wide if used is None else wide[used], dim=0, correction=0)
        self._follow(mean.detach(), variance.detach())
        return ((wide - mean) * torch.rsqrt(variance + EPSILON)).to(outputs.dtype)

    def linearised(self, outputs: Tensor) -> ScaledRows:
        """See `NormalisationLayer`."""
        return ScaledRows(outputs, self.mean, self.scale)

    @contextmanager
    def by_minibatch(self) -> Iterator[None]:
        """Normalise by the statistics of the rows at hand inside the block."""
        self._by_minibatch = True
        try:
            yield
        finally:
            self._by_minibatch = False

    @contextmanager
    def measuring(self) -> Iterator[Tensor]:
        """Add up what the forward passes of the block see.

        Yields:
            Sums for `renew`, float64 [1 + 2 U]: of rows, of units and of their squares.
        """
        self._sums = torch.zeros(1 + 2 * len(self.mean), dtype=torch.float64).to(self.mean.device)
        try:
            yield self._sums
        finally:
            self._sums = None

    @staticmethod
    def _add(rows: Tensor, sums: Tensor) -> None:
        units = rows.shape[1]
        sums[0] += len(rows)
        sums[1 : 1 + units] += rows.sum(0, dtype=torch.float64)
        sums[1 + units :] += rows.square().sum(0, dtype=torch.float64)

    def renew(self, sums: Tensor) -> None:
        """Move mean and variance towards those of measured rows.

        Args:
            sums: what `measuring` gave, added up over all rows.
        """
        mean, squares = (sums[1:] / sums[0].clamp_min(1.0)).chunk(2)
        self._follow(mean, (squares - mean.square()).clamp_min_(0.0))

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        self.renewals += 1
        share = (1.0 / self.renewals).clamp_min(1.0 - STATISTICS_DECAY).to(self.mean.dtype)
        self.mean.lerp_(mean.to(self.mean.dtype), share)
        self.variance.lerp_(variance.to(self.mean.dtype), share)


def normalisation_layer(kind: Normalisation, units: int) -> NormalisationLayer:
    """Make a layer that normalises.

    Args:
        kind: what it does; not `Normalisation.NONE`.
        units: number of units.

    Returns:
        The layer.
    """
    if kind is Normalisation.BATCH:
        return BatchNormalisation(units)
    return RowNormalisation(centred=kind is Normalisation.LAYER)


def batch_layers(network: nn.Module) -> dict[str, BatchNormalisation]:
    """Return the batch normalisation layers of a network by name, in the order of registration."""
    return {n: m for n, m in network.named_modules() if isinstance(m, BatchNormalisation)}
