"""Statistics of a sample that preconditioners and sampling schedules ask for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from torch import Tensor

from asr_hf.curvature.affine import AffineLayer, OnLayer
from asr_hf.curvature.kronecker import KroneckerFactor
from asr_hf.curvature.space import Space

AnyT = TypeVar("AnyT")
ResultT = TypeVar("ResultT", covariant=True)


@dataclass(frozen=True)
class SamplePasses:
    """The passes through the network that a statistic can be computed from, all at one θ.

    Args:
        theta: θ [n].
        unit_gradients: yields each unit's number of frames and its gradient [n], summed over these
            frames. The tensor is used again for the next unit.
        layer_gradients: goes through the sample in chunks of frames, with labels drawn from the
            model. A seed fixes them; the labels of a unit do not depend on the rest of the sample.
            Called as `layer_gradients(seed, on_input, on_gradient)`, it gives each layer's input
            [rows, in] to `on_input` in the forward pass, and the gradient at its output [rows,
            out] to `on_gradient` after the backward pass. Layers are numbered as in the objective's
            `layers`.
    """

    theta: Tensor
    unit_gradients: Callable[[], Iterator[tuple[int, Tensor]]]
    layer_gradients: Callable[[int, OnLayer, OnLayer], None]


@dataclass(frozen=True)
class Sums:
    """Tensors that add up over the units of a sample, and so over the processes that share it.

    Args:
        vectors: tensors [n] with an entry for each entry of θ. Where the vectors of CG are divided
            among processes, so are the totals of these.
        others: tensors of any shape; every process has their totals whole.
    """

    vectors: list[Tensor] = field(default_factory=list)
    others: list[Tensor] = field(default_factory=list)


class Statistic(Protocol[ResultT]):
    """A statistic that follows from sums over the units of a sample.

    Its objects are immutable. Equal ones are computed once (see `SampleStatistics`).
    """

    def sums(self, passes: SamplePasses) -> Sums:
        """Return the sums over the part of the sample that `passes` go through."""
        ...

    def finish(self, totals: Sums, frames: int) -> ResultT:
        """Return the statistic.

        Args:
            totals: the sums over the whole sample; their tensors may be overwritten.
            frames: number of frames of the whole sample.
        """
        ...


class CurvatureStatistics(Protocol):
    """The curvature sample of an iteration, as preconditioners and schedules see it."""

    @property
    def layers(self) -> tuple[AffineLayer, ...]:
        """The affine layers of the network."""
        ...

    @property
    def space(self) -> Space:
        """The space of the vectors."""
        ...

    @property
    def gradient(self) -> Tensor:
        """Mean gradient of the gradient sample [n]."""
        ...

    @property
    def seed(self) -> int:
        """Seed of everything that is drawn at random."""
        ...

    @property
    def decay(self) -> float:
        """ρ of weight decay and pull, which the curvature holds beside that of the data."""
        ...

    @property
    def fisher(self) -> Sequence[KroneckerFactor]:
        """ρF of a pull in that metric, which the curvature holds beside these."""
        ...

    def accumulate(self, statistic: Statistic[AnyT]) -> AnyT:
        """Compute a statistic of the sample, which costs about a gradient of it."""
        ...
