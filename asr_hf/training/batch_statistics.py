"""Statistics of batch normalisation layers, as training keeps and renews them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from asr_hf.hf.objective import Objective, Split
from asr_hf.hf.sampling.base import UnitSampler
from asr_hf.models.normalisation import batch_layers

_FRAMES_AT_START = 10_000


class BatchStatistics:
    """The batch normalisation layers of a network.

    Args:
        network: the network; it may have none.
    """

    def __init__(self, network: nn.Module) -> None:
        self._layers = batch_layers(network)

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The statistics in use, by the names that model files have for them."""
        return {
            f"{name}.{kind}": buffer
            for name, layer in self._layers.items()
            for kind, buffer in layer.named_buffers()
        }

    @torch.no_grad()
    def renew(
        self, forward: Callable[[], None], total: Callable[[Tensor], Tensor] | None = None
    ) -> int:
        """Measure each layer on top of the layers below it, which are renewed before.

        Args:
            forward: sends a sample through the network.
            total: adds up a tensor over the processes that share the sample.

        Returns:
            The number of passes: one for each layer.
        """
        for layer in self._layers.values():
            with layer.measuring() as sums:
                forward()
            layer.renew(sums if total is None else total(sums))
        return len(self._layers)

    @contextmanager
    def by_minibatch(self) -> Iterator[None]:
        """Normalise by the rows at hand inside the block; the statistics follow."""
        with ExitStack() as stack:
            for layer in self._layers.values():
                stack.enter_context(layer.by_minibatch())
            yield


def measure_at_start(objective: Objective, theta: Tensor, seed: int) -> None:
    """Give a fresh network the statistics of some training frames, where it has such.

    Args:
        objective: the objective that is trained.
        theta: fresh parameters θ [n].
        seed: seed of the sample.
    """
    if objective.statistics:
        sampler = UnitSampler(objective.unit_frames(Split.TRAIN), seed)
        objective.renew_statistics(theta, sampler.draw(_FRAMES_AT_START))
