"""Lattice-free maximum mutual information (Povey et al. 2016)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from enum import StrEnum
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from asr_hf.criteria import compiled
from asr_hf.criteria.base import FrameLoss
from asr_hf.criteria.cross_entropy import CategoricalCurvature, CrossEntropy
from asr_hf.criteria.denominator_groups import (
    Group,
    PathSums,
    frames_held,
    paths_in_groups,
)
from asr_hf.criteria.denominator_paths import DenominatorPaths
from asr_hf.criteria.denominator_recursion import DenominatorRecursion
from asr_hf.criteria.held_sums import SUMS_BYTES
from asr_hf.criteria.kernels.arc_rows import ArcRows, arc_rows
from asr_hf.criteria.needs import CriterionNeeds, Targets
from asr_hf.criteria.numerators import NumeratorTargets, Said, labels_of, lengths_of, said
from asr_hf.criteria.path_draws import draw_paths
from asr_hf.criteria.path_fisher import LatticeFreeCurvature, PathFisher
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

    Attributes:
        sums_bytes: bound on the bytes of the denominator's forward sums that are held at once.

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
        self.sums_bytes = SUMS_BYTES
        self._folder = None if denominator is None else Path(denominator)
        self._frames = CrossEntropy()
        self._recursions: dict[tuple[torch.dtype, torch.device], DenominatorRecursion] = {}
        self._rows: dict[torch.dtype, ArcRows] = {}

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

    def recursion(self, dtype: torch.dtype, device: torch.device) -> DenominatorRecursion:
        """Return the denominator graph as matrices, for outputs of a dtype on a device."""
        at = (torch.promote_types(dtype, torch.float32), device)
        if at not in self._recursions:
            self._recursions[at] = DenominatorRecursion.of(self.graph, *at)
        return self._recursions[at]

    def frames_held(self, dtype: torch.dtype, device: torch.device) -> int | None:
        """See `HoldsSums`."""
        if self._in_tiles(device):
            return None
        return frames_held(self.recursion(dtype, device), self.sums_bytes)

    def _in_tiles(self, device: torch.device) -> bool:
        """Return whether compiled loops take the sums; only torch draws paths."""
        return self.draws is Draws.FRAMES and compiled.pays(self.graph.num_states, device)

    def denominator(
        self, scores: Tensor, targets: NumeratorTargets, keep: bool = False
    ) -> Iterator[tuple[Group, PathSums]]:
        """Yield the distribution over the denominator's paths at scores [F, C], group by group."""
        lengths = lengths_of(targets)
        if self._in_tiles(scores.device):
            everything = Group(slice(0, len(lengths)), slice(0, len(scores)), None)
            yield everything, self._tiles(scores, lengths)
        else:
            graph = self.recursion(scores.dtype, scores.device)
            yield from paths_in_groups(graph, scores, lengths, self.leak, self.sums_bytes, keep)

    def _tiles(self, scores: Tensor, lengths: Tensor) -> PathSums:
        """Return the distribution over the denominator's paths, by compiled loops."""
        # numba takes half a second to import, and nothing else needs it.
        from asr_hf.criteria.denominator_tiles import DenominatorTiles

        dtype = torch.promote_types(scores.dtype, torch.float32)
        if dtype not in self._rows:
            self._rows[dtype] = arc_rows(self.graph, self.leak, str(dtype).removeprefix("torch."))
        return DenominatorTiles(self._rows[dtype], scores, lengths)

    def loss(self, logits: Tensor, targets: NumeratorTargets) -> FrameLoss:
        """Return the loss; `per_frame` shares each utterance's evenly among its frames."""
        return self._evaluate(logits, targets, None)[0]

    def gradient(self, logits: Tensor, targets: NumeratorTargets) -> Tensor:
        """Return the derivative of the summed loss by the logits, in their dtype and shape."""
        return self.loss_and_gradient(logits, targets)[1]

    @torch.no_grad()
    def loss_and_gradient(
        self, logits: Tensor, targets: NumeratorTargets
    ) -> tuple[FrameLoss, Tensor]:
        """Return the loss and the derivative of its sum by the logits, from one pass."""
        scores, at_labels = self._parted(logits)
        at_scores = _like_sums(scores)
        loss, spoken = self._evaluate(logits, targets, at_scores)
        at_scores.sub_(spoken.occupancies).add_(scores, alpha=self.output_decay)
        if at_labels is None:
            return loss, at_scores.to(logits.dtype)
        own = self._frames.gradient(at_labels, _labels(targets)).mul_(self.cross_entropy)
        return loss, torch.cat([at_scores.to(logits.dtype), own], dim=1)

    @torch.no_grad()
    def _evaluate(
        self, logits: Tensor, targets: NumeratorTargets, occupancies: Tensor | None
    ) -> tuple[FrameLoss, Said]:
        """Return the loss and the paths of what was said; fill in `occupancies` of everything."""
        scores, at_labels = self._parted(logits)
        of_groups = []
        for group, paths in self.denominator(scores, targets):
            if occupancies is not None:
                occupancies[group.frames] = paths.occupancies
            of_groups.append(paths.totals)
            del paths  # before the next group's sums take the room
        spoken = said(targets, scores)
        lengths, totals = lengths_of(targets), torch.cat(of_groups) - spoken.totals
        if self.output_decay:
            squares = torch.linalg.vecdot(scores, scores).double()
            sizes = torch.segment_reduce(squares, "sum", lengths=lengths)
            totals += 0.5 * self.output_decay * sizes
        per_frame = torch.repeat_interleave(totals / lengths, lengths)
        total = totals.sum()
        if at_labels is None:
            errors = (scores.argmax(dim=1) != labels_of(targets, spoken)).sum()
            return FrameLoss(total, errors, per_frame), spoken
        frames = self._frames.loss(at_labels, _labels(targets))
        total = total + self.cross_entropy * frames.total
        per_frame = per_frame + self.cross_entropy * frames.per_frame
        return FrameLoss(total, frames.errors, per_frame), spoken

    @torch.no_grad()
    def curvature(self, logits: Tensor, targets: NumeratorTargets) -> OutputCurvature:
        """Return the curvature of the summed loss at the logits, for many products."""
        scores, at_labels = self._parted(logits)
        whole = self.curvature_kind is DenominatorCurvature.PATHS
        occupancies, groups = _like_sums(scores), []
        for group, paths in self.denominator(scores, targets, keep=whole):
            occupancies[group.frames] = paths.occupancies
            if whole:
                groups.append((group, paths))
            del paths
        own = PathFisher(groups) if whole else CategoricalCurvature(occupancies)
        branch = None if at_labels is None else self._frames.curvature(at_labels)
        return LatticeFreeCurvature(self.output_decay, self.cross_entropy, own, branch)

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
        gradient = _like_sums(scores)
        drawn = torch.empty(len(scores), 1, dtype=torch.int64, device=scores.device)
        for group, paths in self.denominator(scores, targets, keep=whole):
            at, of_group = group.frames, gradient[group.frames]
            of_group.copy_(paths.occupancies)
            if whole:
                assert isinstance(paths, DenominatorPaths), "only torch's sums draw paths"
                drawn[at, 0] = draw_paths(paths, uniforms[at, 0])
            else:
                drawn[at] = sample_classes(of_group, uniforms[at, 0])
            del paths
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


def _like_sums(scores: Tensor) -> Tensor:
    """Return a tensor for occupancies of scores [F, C], in the dtype of sums."""
    return torch.empty_like(scores, dtype=torch.promote_types(scores.dtype, torch.float32))
