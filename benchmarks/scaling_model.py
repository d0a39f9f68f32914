"""A model of an iteration's time on P workers: computing, messages, and work that all repeat."""

from __future__ import annotations

import math
from dataclasses import dataclass

_VALUE = 4
# Number of vectors [n] read or written by a flexible CG step: four updates of three, four products.
_CG_PASSES = 20
# b, d, r, z, p, Gp and a residual that is computed anew.
_CG_VECTORS = 7


@dataclass(frozen=True)
class Link:
    """A connection between two workers, or two nodes.

    Args:
        bandwidth: bytes a second.
        latency: seconds of one message.
    """

    bandwidth: float
    latency: float

    def all_reduce(self, size: float, count: int) -> float:
        """Return the seconds of a sum of `size` bytes over `count` members.

        The number of bytes is that of a ring, the latency that of a tree.
        """
        if count == 1:
            return 0.0
        bytes_sent = 2 * (count - 1) / count * size
        return bytes_sent / self.bandwidth + 2 * math.ceil(math.log2(count)) * self.latency


@dataclass(frozen=True)
class Machine:
    """Speeds of the workers and their links.

    Args:
        gradient: seconds for each frame of a gradient.
        product: seconds for each frame of a Gauss-Newton product.
        forward: seconds for each frame of a loss.
        pass_overhead: seconds of a pass without frames.
        memory: bytes a second that vector operations read and write.
        inside: link inside a node.
        outside: link between nodes.
        node: number of workers in a node.
    """

    gradient: float
    product: float
    forward: float
    pass_overhead: float
    memory: float
    inside: Link
    outside: Link
    node: int

    def all_reduce(self, size: float, workers: int) -> float:
        """Return the seconds of a sum of `size` bytes: in each node first, then between nodes."""
        inside = min(workers, self.node)
        return self.inside.all_reduce(size, inside) + self.outside.all_reduce(
            size, math.ceil(workers / inside)
        )


@dataclass(frozen=True)
class Case:
    """Work of an iteration.

    Args:
        parameters: number of parameters n.
        gradient: number of frames of the gradient.
        curvature: number of frames of the curvature sample.
        heldout: mean number of frames of a loss.
        steps: number of CG steps.
        losses: number of losses computed.
        pairs: number of pairs m of L-BFGS.
        unit: number of frames of the smallest piece that workers are given.
        kept: number of iterates that CG keeps.
    """

    parameters: int
    gradient: float
    curvature: float
    heldout: float
    steps: int
    losses: int
    pairs: int
    unit: float = 1.0
    kept: int = 0

    def share(self, frames: float, workers: int) -> float:
        """Return the number of frames of the worker that has the most: at least one piece."""
        return max(frames / workers, min(self.unit, frames))


@dataclass(frozen=True)
class Seconds:
    """Seconds of an iteration by kind of work."""

    compute: float
    messages: float
    vectors: float

    @property
    def total(self) -> float:
        """Seconds of the whole iteration, in which nothing overlaps."""
        return self.compute + self.messages + self.vectors


def iteration(machine: Machine, case: Case, workers: int, sharded: bool = False) -> Seconds:
    """Predict an iteration.

    A CG step is one product, one message of n values, CG's vector operations and the compact
    L-BFGS form, which reads 2 m vectors twice. With sharding, each worker does its part of the
    vector operations. Reduce-scatter and all-gather together move as many bytes as the all-reduce.
    There are four more short messages: three for scalars of the step, and one for the 2 m products
    with the pairs.

    Returns:
        The seconds.
    """
    gradient, curvature, heldout = (
        case.share(frames, workers) for frames in (case.gradient, case.curvature, case.heldout)
    )
    passes = 2 + case.steps + case.losses
    compute = (
        gradient * machine.gradient
        # The products need the activations of a forward pass.
        + curvature * machine.forward
        + case.steps * curvature * machine.product
        + case.losses * heldout * machine.forward
        + passes * machine.pass_overhead
    )
    vector = _VALUE * case.parameters
    messages = (1 + case.steps) * machine.all_reduce(vector, workers)
    messages += case.losses * machine.all_reduce(_VALUE, workers)
    vectors = case.steps * (_CG_PASSES + 4 * case.pairs) * vector / machine.memory
    if sharded:
        vectors /= workers
        scalars = machine.all_reduce(5 * _VALUE, workers)
        products = machine.all_reduce(2 * case.pairs * _VALUE, workers)
        messages += case.steps * (3 * scalars + products)
    return Seconds(compute, messages, vectors)


def state_bytes(case: Case, workers: int, sharded: bool) -> float:
    """Count bytes of CG's vectors, its iterates and two sets of pairs on one worker.

    Vectors that are whole in both cases are left out: θ, a trial θ, and the vectors before and
    after a product.

    Returns:
        Number of bytes.
    """
    total = _VALUE * case.parameters * (_CG_VECTORS + case.kept + 4 * case.pairs)
    return total / workers if sharded else float(total)
