"""The protocol of training criteria."""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeVar

from torch import Tensor

from asr_hf.curvature.gauss_newton import OutputCurvature

TargetsT = TypeVar("TargetsT", contravariant=True)


class FrameLoss(NamedTuple):
    """A loss over frames, still on the device.

    Args:
        total: sum over frames, float64 [].
        errors: number of frames whose most probable class is not the label, int64 [].
        per_frame: loss of each frame [F], float32 or float64 as the logits are; a loss of whole
            utterances is shared evenly among their frames.
    """

    total: Tensor
    errors: Tensor
    per_frame: Tensor


class Criterion(Protocol[TargetsT]):
    """A loss on logits [F, C] given targets; all sums are over frames, not means.

    Targets are the labels of frames, or belong to whole utterances. A class that needs more than
    labels says so in an attribute `needs`, see `CriterionNeeds`.
    """

    def loss(self, logits: Tensor, targets: TargetsT) -> FrameLoss:
        """Return the loss."""
        ...

    def gradient(self, logits: Tensor, targets: TargetsT) -> Tensor:
        """Return the derivative of the summed loss by the logits [F, C]."""
        ...

    def loss_and_gradient(self, logits: Tensor, targets: TargetsT) -> tuple[FrameLoss, Tensor]:
        """Return the loss and its derivative for little more than the cost of one."""
        ...

    def curvature(self, logits: Tensor, targets: TargetsT) -> OutputCurvature:
        """Return the Gauss-Newton curvature of the summed loss by the logits."""
        ...

    def sampled_gradient(self, logits: Tensor, targets: TargetsT, uniforms: Tensor) -> Tensor:
        """Compute the derivative by the logits for outcomes drawn from the model.

        Its second moment is the Fisher matrix, which is `curvature` where the loss is a negative
        log-likelihood.

        Args:
            logits: outputs of the model [F, C].
            targets: the targets.
            uniforms: numbers in [0, 1) that fix the draws [F, 2] (see `sample_classes`).

        Returns:
            The derivative [F, C].
        """
        ...
