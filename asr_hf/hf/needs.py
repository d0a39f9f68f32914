"""Declares what an optimiser needs of the processes that it works in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OptimiserNeeds:
    """What an optimiser's class declares in its attribute `needs`.

    The defaults hold for a class that declares nothing.

    Args:
        minibatches: whether it draws minibatches of frames, which one process takes one after
            another. Optimisers of sums over large samples leave the sums to several processes.
        whole_vectors: whether each process needs the gradient and all else as long as θ in one
            piece. `runtime.sharded` then has nothing to divide.
        coarse_gradients: whether it makes do with gradients in bfloat16, and compares the losses
            that come with them with no others. Then `precision=bf16` is theirs too.
    """

    minibatches: bool = False
    whole_vectors: bool = True
    coarse_gradients: bool = False
