"""How many frames an optimiser will send through the network, said before it starts."""

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
        gradient: frames of the gradient's passes.
        loss: frames of losses, all together.
        curvature: frames of the curvature sample; 0 without one.
        products: fewest and most products with it that are usual.
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
    """The passes of iterations of HF.

    Args:
        sizes: of each iteration's samples.
        heldout_frames: of the acceptance test.
        usual_losses: losses it takes, on the held-out and on the gradient sample.
        most_products: bound on CG's steps.
    """
    few, many = (min(steps, max_products) for steps in USUAL_CG_STEPS)
    on_heldout, on_sample = usual_losses
    return [
        PassCost(
            one.gradient,
            on_heldout * heldout_frames + on_sample * one.gradient,
            min(one.curvature, one.gradient),
            (few, many),
        )
        for one in sizes
    ]
