"""What the criteria over lattices share: path scores, curvatures, cross-entropy mixed in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from torch import Tensor

from asr_hf.criteria.base import FrameLoss
from asr_hf.criteria.cross_entropy import CategoricalCurvature, CrossEntropy
from asr_hf.criteria.forward_backward import ForwardBackward
from asr_hf.criteria.lattice_batch import LatticeBatch
from asr_hf.criteria.needs import CriterionNeeds, Targets
from asr_hf.criteria.sample_classes import sample_classes
from asr_hf.curvature.gauss_newton import OutputCurvature


@dataclass(frozen=True)
class SequenceTargets:
    """References and lattices that a batch of utterances is compared with.

    Args:
        labels: reference pdf of each frame [F], int64.
        lattices: lattices of the utterances, in the order of their frames.
        log_priors: log prior of each pdf [C].
        phones: reference phone of each frame [F].
        silence_phones: numbers of the phones that are silence.
    """

    labels: Tensor
    lattices: LatticeBatch
    log_priors: Tensor
    phones: Tensor
    silence_phones: Sequence[int]

    def is_silence(self, phones: Tensor) -> Tensor:
        """Say which of some phones are silence, bool."""
        return torch.isin(phones, phones.new_tensor(self.silence_phones))


class LatticeCurvature(StrEnum):
    """The positive semi-definite matrix that stands for the curvature at the outputs.

    LATTICE is the Fisher matrix of the paths, κ² times the covariance of their occupancies over
    whole utterances; FRAME its blocks of single frames, κ² (diag(γ) - γγ'); CROSS_ENTROPY the
    curvature of the frames' cross-entropy.
    """

    LATTICE = "lattice"
    FRAME = "frame"
    CROSS_ENTROPY = "cross_entropy"


class SequenceCriterion(ABC):
    """A loss on logits z [F, C] through the scores of the paths of lattices.

    An arc of frame f and pdf k scores κ (z_fk - log prior_k) + ν times its graph score. That z is
    log p(k|x) only up to a constant of the frame does not matter: each path takes every frame
    once, so that the constants cancel in whatever compares paths.

    Args:
        acoustic_scale: acoustic scale κ.
        lm_scale: language model scale ν.
        smoothing: share h of frame cross-entropy in the loss, (1 - h) sequence + h cross-entropy.
        curvature: name of a `LatticeCurvature`.

    Raises:
        ValueError: a setting is out of range.
    """

    needs = CriterionNeeds(Targets.LATTICES, starting_model=True, acoustic_scale=True)

    def __init__(
        self,
        acoustic_scale: float,
        lm_scale: float = 1.0,
        smoothing: float = 0.0,
        curvature: str = "lattice",
    ) -> None:
        if not (acoustic_scale > 0 and lm_scale >= 0 and 0 <= smoothing < 1):
            raise ValueError(
                "needs acoustic_scale > 0, lm_scale >= 0 and 0 <= smoothing < 1, found "
                f"{acoustic_scale}, {lm_scale} and {smoothing}"
            )
        self.acoustic_scale, self.lm_scale, self.smoothing = acoustic_scale, lm_scale, smoothing
        self.curvature_kind = LatticeCurvature(curvature)
        self._frames = CrossEntropy()

    @abstractmethod
    def evaluate(
        self, logits: Tensor, targets: SequenceTargets, gradient: bool
    ) -> tuple[Tensor, Tensor | None]:
        """Return each utterance's loss [U], float64, and its derivative by the logits [F, C].

        The derivative is None where `gradient` is false.
        """

    def loss(self, logits: Tensor, targets: SequenceTargets) -> FrameLoss:
        """Return the loss; `per_frame` shares each utterance's evenly among its frames."""
        return self._evaluate(logits, targets, gradient=False)[0]

    def gradient(self, logits: Tensor, targets: SequenceTargets) -> Tensor:
        """Return the derivative of the summed loss by the logits [F, C], in their dtype."""
        return self.loss_and_gradient(logits, targets)[1]

    def loss_and_gradient(
        self, logits: Tensor, targets: SequenceTargets
    ) -> tuple[FrameLoss, Tensor]:
        """Return the loss and the derivative of its sum [F, C], from one pass over the lattices."""
        loss, gradient = self._evaluate(logits, targets, gradient=True)
        assert gradient is not None
        return loss, gradient

    @torch.no_grad()
    def _evaluate(
        self, logits: Tensor, targets: SequenceTargets, gradient: bool
    ) -> tuple[FrameLoss, Tensor | None]:
        totals, derivative = self.evaluate(logits, targets, gradient)
        lengths = targets.lattices.lengths
        per_frame = torch.repeat_interleave(totals / lengths, lengths)
        if not self.smoothing:
            errors = (logits.argmax(dim=1) != targets.labels).sum()
            return FrameLoss(totals.sum(), errors, per_frame), derivative
        h = self.smoothing
        frames, at_frames = self._frames.loss_and_gradient(logits, targets.labels)
        total = (1 - h) * totals.sum() + h * frames.total
        per_frame = (1 - h) * per_frame + h * frames.per_frame
        if derivative is not None:
            derivative = derivative.mul_(1 - h).add_(at_frames, alpha=h)
        return FrameLoss(total, frames.errors, per_frame), derivative

    @torch.no_grad()
    def curvature(self, logits: Tensor, targets: SequenceTargets) -> OutputCurvature:
        """Return the curvature of the summed loss at logits [F, C], for many products."""
        if self.curvature_kind is LatticeCurvature.CROSS_ENTROPY:
            return self._frames.curvature(logits)
        paths = ForwardBackward(targets.lattices, self.scores(logits, targets))
        sequence: OutputCurvature
        if self.curvature_kind is LatticeCurvature.LATTICE:
            sequence = PathCovariance(paths, targets.lattices, logits.shape[1])
        else:
            sequence = CategoricalCurvature(occupancies(targets.lattices, paths.posteriors, logits))
        weighted = [(self.acoustic_scale**2 * (1 - self.smoothing), sequence)]
        if self.smoothing:
            weighted.append((self.smoothing, self._frames.curvature(logits)))
        return WeightedSum(weighted)

    @torch.no_grad()
    def sampled_gradient(
        self, logits: Tensor, targets: SequenceTargets, uniforms: Tensor
    ) -> Tensor:
        """Return κ (γ_f - e_k) with k drawn from γ_f, each frame by itself.

        The second moment is the FRAME curvature, or CROSS_ENTROPY where this is the curvature.

        Args:
            logits: outputs of the model [F, C].
            targets: lattices and labels.
            uniforms: numbers in [0, 1) that fix the draws [F, 2].

        Returns:
            The derivative for the drawn outcomes [F, C], in the logits' dtype.
        """
        if self.curvature_kind is LatticeCurvature.CROSS_ENTROPY:
            return self._frames.sampled_gradient(logits, targets.labels, uniforms)
        paths = ForwardBackward(targets.lattices, self.scores(logits, targets))
        gradient = occupancies(targets.lattices, paths.posteriors, logits)
        drawn = sample_classes(gradient, uniforms[:, 0])
        gradient.scatter_add_(1, drawn, gradient.new_full(drawn.shape, -1.0))
        gradient.mul_(self.acoustic_scale * (1 - self.smoothing) ** 0.5)
        if self.smoothing:
            other = self._frames.sampled_gradient(logits, targets.labels, uniforms[:, 1:])
            gradient.add_(other, alpha=self.smoothing**0.5)
        return gradient.to(logits.dtype)

    def scores(self, logits: Tensor, targets: SequenceTargets) -> Tensor:
        """Return the scores of the arcs [A], float64."""
        arcs = targets.lattices
        scores = arcs.graph * self.lm_scale
        acoustic = logits.reshape(-1).index_select(0, places(arcs, logits.shape[1])).double()
        acoustic.sub_(targets.log_priors.index_select(0, arcs.pdf))
        scores[: len(acoustic)].add_(acoustic, alpha=self.acoustic_scale)
        return scores


class PathCovariance:
    """u -> Cov(occupancies) u: the covariance, over paths, of how often each (frame, pdf) is met.

    Args:
        paths: distribution over the paths.
        arcs: lattices of the paths.
        classes: number C of outputs.
    """

    def __init__(self, paths: ForwardBackward, arcs: LatticeBatch, classes: int) -> None:
        self._paths, self._arcs, self._classes = paths, arcs, classes

    @torch.no_grad()
    def __call__(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return H u [F, C] of u [F, C], in `out` if given; `out` may be `vector` itself."""
        where = places(self._arcs, self._classes)
        direction = torch.zeros_like(self._arcs.graph)
        direction[: len(where)] = vector.reshape(-1).index_select(0, where).double()
        change, _ = self._paths.tangent(direction)
        out = torch.empty_like(vector) if out is None else out
        return out.copy_(occupancies(self._arcs, change, vector))


class WeightedSum:
    """u -> Σ w H u over several curvatures.

    Args:
        parts: weight w and curvature H of each term.
    """

    def __init__(self, parts: Sequence[tuple[float, OutputCurvature]]) -> None:
        self._parts = parts

    @torch.no_grad()
    def __call__(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return the sum of H u [F, C] of u [F, C], in `out` if given, which may be `vector`."""
        products = [curvature(vector).mul_(weight) for weight, curvature in self._parts]
        total = torch.stack(products).sum(0) if len(products) > 1 else products[0]
        return total if out is None else out.copy_(total)


def places(arcs: LatticeBatch, classes: int) -> Tensor:
    """Return where each arc's output stands in logits laid out as one row [E]."""
    return arcs.frame * classes + arcs.pdf


def occupancies(arcs: LatticeBatch, values: Tensor, like: Tensor) -> Tensor:
    """Sum values of the arcs into the outputs that they score.

    Args:
        arcs: the lattices.
        values: value of each arc [A].
        like: logits [F, C].

    Returns:
        [F, C] shaped as `like`, in its dtype or float32 where that is wider.
    """
    wide = torch.promote_types(like.dtype, torch.float32)
    result = torch.zeros(like.numel(), dtype=wide, device=like.device)
    where = places(arcs, like.shape[1])
    return result.index_add_(0, where, values[: len(where)].to(wide)).view(like.shape)
