"""Training of a model that asks for a term of θ beside the loss of its data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor

from asr_hf.curvature.semi_orthogonal import SemiOrthogonal
from asr_hf.hf.objective import Curvature, LossSum, Sample, Split
from asr_hf.hf.penalty import PenalisedCurvature
from asr_hf.training.frame_objective import FrameObjective, Minibatch


class ConstrainedObjective(FrameObjective):
    """The sums of `FrameObjective`, and a model's constraint for each frame of training data.

    Loss, gradient, curvature and the gradients of units and minibatches are those of one function
    of θ, whichever optimiser asks and whatever it adds. Processes that share the data each have the
    constraint of their own frames, so that it adds up as the loss does. Held-out data have none.

    Args:
        constraint: the term.
        given: arguments of `FrameObjective`.
        settings: further arguments of it, by name.
    """

    def __init__(self, constraint: SemiOrthogonal, *given: Any, **settings: Any) -> None:
        super().__init__(*given, **settings)
        self._constraint = constraint

    def loss(self, theta: Tensor, sample: Sample) -> LossSum:
        """Return the loss summed over `sample` at θ [n]."""
        return self._constrained(super().loss(theta, sample), theta, sample)

    def gradient(self, theta: Tensor, sample: Sample) -> tuple[LossSum, Tensor]:
        """Return the loss and its gradient [n], both summed over `sample`."""
        loss, gradient = super().gradient(theta, sample)
        if sample.split is Split.TRAIN:
            self._constraint.add_gradient(gradient, theta, loss.num_frames)
        return self._constrained(loss, theta, sample), gradient

    def curvature(self, theta: Tensor, sample: Sample) -> Curvature:
        """Return the Gauss-Newton matrix at θ summed over `sample`; θ must not change in use."""
        inner = super().curvature(theta, sample)
        if sample.split is not Split.TRAIN:
            return inner
        return PenalisedCurvature(inner, [self._constraint.at(theta)])

    def unit_gradients(self, theta: Tensor, sample: Sample) -> Iterator[tuple[int, Tensor]]:
        """Yield each unit's number of frames and its gradient [n]; the tensor is reused."""
        for num_frames, gradient in super().unit_gradients(theta, sample):
            if sample.split is Split.TRAIN:
                self._constraint.add_gradient(gradient, theta, num_frames)
            yield num_frames, gradient

    def minibatch_gradient(self, theta: Tensor, minibatch: Minibatch) -> tuple[Tensor, Tensor]:
        """Return the mean loss of the data, and the gradient [n] with that of the constraint."""
        loss, gradient = super().minibatch_gradient(theta, minibatch)
        return loss, self._constraint.add_gradient(gradient, theta, 1)

    def _constrained(self, loss: LossSum, theta: Tensor, sample: Sample) -> LossSum:
        if sample.split is not Split.TRAIN:
            return loss
        frames = self.unit_frames(sample.split)[sample.units]
        return loss.with_penalty(self._constraint.value(theta), frames)
