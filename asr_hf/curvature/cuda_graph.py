"""Records products once and replays them: CUDA graphs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Work = Callable[[], None]
Recorder = Callable[[Work], Work]


def record_on_gpu(work: Work) -> Work:
    """Record the kernels of `work` on the current GPU.

    The same tensors are read and written each time. Nothing in `work` may wait for the GPU, or run
    backward passes through what was computed before it.

    Args:
        work: the work to record.

    Returns:
        A function that launches all kernels at once.
    """
    current = torch.cuda.current_stream()
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(current)
    with torch.cuda.stream(side):
        # Once before the recording, so that libraries have made what they need.
        work()
    current.wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


class RecordedProduct:
    """v -> G v between two vectors that stay where they are.

    Args:
        product: writes G v [n] of its first argument into its second.
        like: a vector [n] of the type and device of all.
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
