"""Products recorded once and replayed: CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Work = Callable[[], None]
Recorder = Callable[[Work], Work]


def record_on_gpu(work: Work) -> Work:
    """Record the kernels of `work` on the current GPU; what is returned launches them at once.

    The same tensors are read and written each time. Nothing in `work` may wait for the GPU, or run
    backward passes through what was computed before it.
    """
    here = torch.cuda.current_stream()
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(here)
    with torch.cuda.stream(aside):
        # Once before the recording, so that libraries have made what they need.
        work()
    here.wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


class RecordedProduct:
    """v -> G v between two vectors that stay where they are.

    Args:
        product: writes G v [n] of its first argument into its second.
        like: a vector of the size, type and device of all [n].
        record: makes a replay of the work.
    """

    def __init__(
        self, product: Callable[[Tensor, Tensor], None], like: Tensor, record: Recorder
    ) -> None:
        self._vector, self._out = torch.zeros_like(like), torch.zeros_like(like)
        self._replay = record(lambda: product(self._vector, self._out))

    def __call__(self, vector: Tensor, out: Tensor) -> None:
        """Write G v [n] of v [n] into `out` [n]."""
        self._vector.copy_(vector)
        self._replay()
        out.copy_(self._out)
