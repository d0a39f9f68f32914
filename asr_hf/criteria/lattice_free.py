"""Lattice-free maximum mutual information (Povey et al. 2016)."""

from __future__ import annotations

import os
from enum import StrEnum
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from asr_hf.criteria.base import FrameLoss
from asr_hf.criteria.cross_entropy import CategoricalCurvature, CrossEntropy
from asr_hf.criteria.denominator_paths import DenominatorPaths
from asr_hf.criteria.denominator_recursion import DenominatorRecursion
from asr_hf.criteria.needs import CriterionNeeds, Targets
from asr_hf.criteria.numerators import NumeratorTargets, Said, labels_of, lengths_of, said
from asr_hf.criteria.path_draws import draw_paths
from asr_hf.criteria.sample_classes import sample_classes
from asr_hf.criteria.sequence import SequenceTargets
from asr_hf.curvature.gauss_newton import OutputCurvature
from asr_hf.data.denominator_graph import DenominatorGraph
from asr_hf.runtime.errors import InputError


class DenominatorCurvature(StrEnum):
    """The positive semi-definite matrix that stands for the curvature at the outputs.

    PATHS is the Fisher matrix of the denominator's paths, the covariance of their occupancies over
    whole utterances; FRAME its blocks of single frames, diag(γ) - γγ'.
    """

    PATHS = "paths"
    FRAME = "frame"


class Draws(StrEnum):
    """What the outcomes of `sampled_gradient` are: paths, or each frame's pdf by itself."""

    FRAMES = "frames"
    PATHS = "paths"


class LatticeFreeMMI:
    """log Z - log p(numerator): gradient (γ of all paths - γ of the numerator's) at the logits.

    The numerator is the graph of what was said, the denominator one of all sentences of phones, the
    same for every utterance. Outputs are log likelihoods as they are: no priors, no scale. The
    curvature is the Fisher matrix of the denominator's paths. It is the whole Hessian less the
    covariance over the numerator's paths, which have little to choose.

    The outputs' size is held by ½ρ‖z‖² a frame, which the curvature has as ρI (section 2.7.2). With
    a share h of cross-entropy, the logits are [F, 2 C]: behind those that score paths stand those
    of a second output layer, which is trained on the frames' labels, with weight h, and dropped
    afterwards (section 2.7.1).

    Args:
        denominator: folder of the denominator graph, read when it is first needed; training fills
            in that of the alignment where it is None.
        leak: weight η of leaps between any two states (section 3.2).
        output_decay: ρ.
        cross_entropy: h; 0 has no second output layer.
        curvature: name of a `DenominatorCurvature`.
        draws: name of one of `Draws`.

    Raises:
        ValueError: a setting is out of range.
    """

    needs = CriterionNeeds(Targets.NUMERATORS)

    def __init__(
        self,
        denominator: str | os.PathLike[str] | None = None,
        leak: float = 0.1,
        output_decay: float = 0.0,
        cross_entropy: float = 0.0,
        curvature: str = "paths",
        draws: str = "frames",
    ) -> None:
        if not (0 < leak < 1 and output_decay >= 0 and cross_entropy >= 0):
            raise ValueError(
                "needs 0 < leak < 1, output_decay >= 0 and cross_entropy >= 0, found "
                f"{leak}, {output_decay} and {cross_entropy}"
            )
        self.leak, self.output_decay, self.cross_entropy = leak, output_decay, cross_entropy
        self.curvature_kind, self.draws = DenominatorCurvature(curvature), Draws(draws)
        self._folder = None if denominator is None else Path(denominator)
        self._frames = CrossEntropy()
        self._recursions: dict[tuple[torch.dtype, torch.device], DenominatorRecursion] = {}

    @cached_property
    def graph(self) -> DenominatorGraph:
        """The denominator graph.

        Raises:
            InputError: there is none, or it is damaged.
        """
        remedy = "asr-hf align with the same overrides makes it"
        if self._folder is None:
            raise InputError(
                "criterion.denominator=null: LF-MMI needs the graph of everything",
                expected="the folder of a denominator graph",
                remedy=remedy,
            )
        return DenominatorGraph.load(self._folder, remedy)

    def denominator(
        self, scores: Tensor, targets: NumeratorTargets, keep: bool = False
    ) -> DenominatorPaths:
        """Return the distribution over the denominator's paths at scores [F, C]."""
        at = (torch.promote_types(scores.dtype, torch.float32), scores.device)
        if at not in self._recursions:
            self._recursions[at] = DenominatorRecursion.of(self.graph, *at)
        lengths = lengths_of(targets)
        return DenominatorPaths(self._recursions[at], scores, lengths, self.leak, keep)

    def loss(self, logits: Tensor, targets: NumeratorTargets) -> FrameLoss:
        """Return the loss; `per_frame` shares each utterance's evenly among its frames."""
        return self._evaluate(logits, targets)[0]

    def gradient(self, logits: Tensor, targets: NumeratorTargets) -> Tensor:
        """Return the derivative of the summed loss by the logits, in their dtype and shape."""
        return self.loss_and_gradient(logits, targets)[1]

    @torch.no_grad()
    def loss_and_gradient(
        self, logits: Tensor, targets: NumeratorTargets
    ) -> tuple[FrameLoss, Tensor]:
        """Return the loss and the derivative of its sum by the logits, from one pass."""
        loss, everything, spoken = self._evaluate(logits, targets)
        scores, at_labels = self._parted(logits)
        at_scores = everything.occupancies.sub_(spoken.occupancies)
        at_scores.add_(scores, alpha=self.output_decay)
        if at_labels is None:
            return loss, at_scores.to(logits.dtype)
        own = self._frames.gradient(at_labels, _labels(targets)).mul_(self.cross_entropy)
        return loss, torch.cat([at_scores.to(logits.dtype), own], dim=1)

    @torch.no_grad()
    def _evaluate(
        self, logits: Tensor, targets: NumeratorTargets
    ) -> tuple[FrameLoss, DenominatorPaths, Said]:
        """Return the loss, and the paths of everything and of what was said."""
        scores, at_labels = self._parted(logits)
        everything, spoken = self.denominator(scores, targets), said(targets, scores)
        lengths, totals = lengths_of(targets), everything.totals - spoken.totals
        if self.output_decay:
            squares = scores.double().square().sum(1)
            sizes = torch.segment_reduce(squares, "sum", lengths=lengths)
            totals += 0.5 * self.output_decay * sizes
        per_frame = torch.repeat_interleave(totals / lengths, lengths)
        total = totals.sum()
        if at_labels is None:
            errors = (scores.argmax(dim=1) != labels_of(targets, spoken)).sum()
            return FrameLoss(total, errors, per_frame), everything, spoken
        frames = self._frames.loss(at_labels, _labels(targets))
        total = total + self.cross_entropy * frames.total
        per_frame = per_frame + self.cross_entropy * frames.per_frame
        return FrameLoss(total, frames.errors, per_frame), everything, spoken

    @torch.no_grad()
    def curvature(self, logits: Tensor, targets: NumeratorTargets) -> OutputCurvature:
        """Return the curvature of the summed loss at the logits, for many products."""
        scores, at_labels = self._parted(logits)
        whole = self.curvature_kind is DenominatorCurvature.PATHS
        paths = self.denominator(scores, targets, keep=whole)
        branch = None if at_labels is None else self._frames.curvature(at_labels)
        own = PathFisher(paths) if whole else CategoricalCurvature(paths.occupancies)
        return _Curvature(self, own, branch)

    @torch.no_grad()
    def sampled_gradient(
        self, logits: Tensor, targets: NumeratorTargets, uniforms: Tensor
    ) -> Tensor:
        """Return γ_f - e_k with k drawn from γ_f, each frame by itself or as paths have them.

        A frame's own second moment is the same either way. Where an utterance's gradients meet, in
        layers that share weights over time, only paths have the right one. The decay of outputs has
        no part in it.

        Args:
            logits: outputs of the model.
            targets: numerators, and labels where there is a second output layer.
            uniforms: numbers in [0, 1) that fix the draws [F, 2].

        Returns:
            The derivative for the drawn outcomes, in the logits' dtype and shape.
        """
        scores, at_labels = self._parted(logits)
        whole = self.draws is Draws.PATHS
        paths = self.denominator(scores, targets, keep=whole)
        gradient = paths.occupancies
        if whole:
            drawn = draw_paths(paths, uniforms[:, 0]).unsqueeze(1)
        else:
            drawn = sample_classes(gradient, uniforms[:, 0])
        gradient.scatter_add_(1, drawn, gradient.new_full(drawn.shape, -1.0))
        if at_labels is None:
            return gradient.to(logits.dtype)
        other = self._frames.sampled_gradient(at_labels, _labels(targets), uniforms[:, 1:])
        return torch.cat([gradient.to(logits.dtype), other.mul_(self.cross_entropy**0.5)], dim=1)

    def _parted(self, logits: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return what scores paths [F, C], and the second output layer's [F, C] if there is one."""
        if not self.cross_entropy:
            return logits, None
        scores, at_labels = logits.tensor_split(2, dim=1)
        return scores.contiguous(), at_labels.contiguous()


def _labels(targets: NumeratorTargets) -> Tensor:
    """Return the labels of the frames [F], which transcripts have none of."""
    assert isinstance(targets, SequenceTargets), "a second output layer needs labels"
    return targets.labels


class PathFisher:
    """u -> Cov(occupancies) u over the denominator's paths.

    Args:
        paths: distribution over the paths, kept for tangents.
    """

    def __init__(self, paths: DenominatorPaths) -> None:
        self._paths = paths

    @torch.no_grad()
    def __call__(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return H u [F, C] of u [F, C], in `out` if given; `out` may be `vector` itself."""
        product = self._paths.tangent(vector)
        return product.to(vector.dtype) if out is None else out.copy_(product)


class _Curvature:
    """u -> H u of both output layers.

    Args:
        criterion: the criterion.
        paths: u -> H u of what scores paths.
        branch: u -> H u of the second output layer; None where there is none.
    """

    def __init__(
        self,
        criterion: LatticeFreeMMI,
        paths: OutputCurvature,
        branch: OutputCurvature | None,
    ) -> None:
        self._decay, self._share = criterion.output_decay, criterion.cross_entropy
        self._paths, self._branch = paths, branch

    @torch.no_grad()
    def __call__(self, vector: Tensor, out: Tensor | None = None) -> Tensor:
        """Return H u of u, in `out` if given; `out` may be `vector` itself."""
        parts = [vector] if self._branch is None else vector.tensor_split(2, dim=1)
        products = [self._paths(parts[0]).add_(parts[0], alpha=self._decay)]
        if self._branch is not None:
            products.append(self._branch(parts[1]).mul_(self._share))
        total = products[0] if len(products) == 1 else torch.cat(products, dim=1)
        return total if out is None else out.copy_(total)
