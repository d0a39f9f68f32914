"""The passes that an optimiser sends through the network, stated before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asr_hf.hf.sampling.base import SampleSizes

# CG steps of a run that ends by itself: few while λ is large and far from the minimum, then many.
USUAL_CG_STEPS = (10, 50)


@dataclass(frozen=True)
class PassCost:
    """The passes of one iteration.

    Args:
        gradient: number of frames of the gradient's passes.
        loss: number of frames of all losses together.
        curvature: number of frames of the curvature sample; 0 without one.
        products: fewest and most curvature products that are usual.
    """

    gradient: int
    loss: int
    curvature: int = 0
    products: tuple[int, int] = (0, 0)


def hf_pass_costs(
    sizes: Sequence[SampleSizes],
    heldout_frames: int,
    usual_losses: tuple[int, int],
    max_products: int,
) -> list[PassCost]:
    """Return the passes of iterations of HF.

    Args:
        sizes: sizes of each iteration's samples.
        heldout_frames: number of frames of the acceptance test.
        usual_losses: usual number of its losses on the held-out and on the gradient sample.
        max_products: bound on CG's steps.

    Returns:
        The passes of each iteration.
    """
    few, many = (min(steps, max_products) for steps in USUAL_CG_STEPS)
    on_heldout, on_sample = usual_losses
    return [
        PassCost(
            size.gradient,
            on_heldout * heldout_frames + on_sample * size.gradient,
            min(size.curvature, size.gradient),
            (few, many),
        )
        for size in sizes
    ]
