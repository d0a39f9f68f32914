"""What a training criterion over frames offers."""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeVar

from torch import Tensor

from asr_hf.curvature.gauss_newton import OutputCurvature

TargetsT = TypeVar("TargetsT", contravariant=True)


class FrameLoss(NamedTuple):
    """A loss over frames, still on the device.

    Args:
        total: sum over frames, float64 [].
        errors: frames whose most probable class is not the label, int64 [].
        per_frame: loss of each frame [F], float32 or float64 as the logits are; a loss of whole
            utterances is shared evenly among their frames.
    """

    total: Tensor
    errors: Tensor
    per_frame: Tensor


class Criterion(Protocol[TargetsT]):
    """A loss on logits [F, C] given targets; all sums are over frames, not means.

    Targets are what the loss asks for: of each frame (its label), or of whole utterances. A class
    that asks for more than labels says so in an attribute `needs`, see `CriterionNeeds`.
    """

    def loss(self, logits: Tensor, targets: TargetsT) -> FrameLoss:
        """The loss."""
        ...

    def gradient(self, logits: Tensor, targets: TargetsT) -> Tensor:
        """The derivative of the summed loss by the logits [F, C]."""
        ...

    def loss_and_gradient(self, logits: Tensor, targets: TargetsT) -> tuple[FrameLoss, Tensor]:
        """Both of the above for little more than the cost of one."""
        ...

    def curvature(self, logits: Tensor, targets: TargetsT) -> OutputCurvature:
        """The Gauss-Newton curvature of the summed loss by the logits."""
        ...

    def sampled_gradient(self, logits: Tensor, targets: TargetsT, uniforms: Tensor) -> Tensor:
        """The derivative by the logits [F, C] for outcomes drawn from the model.

        The draws follow from `uniforms` [F, 2], two numbers in [0, 1) a frame (see `draw`).

        Its second moment is the Fisher matrix, which is `curvature` where the loss is a negative
        log-likelihood.
        """
        ...
