"""Matrix products (GEMMs) with which Gauss-Newton products are compared."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor

from benchmarks.nets import Net


def product_gemms(net: Net, device: torch.device, dtype: torch.dtype) -> Callable[[], None]:
    """Prepare only the GEMMs of one Gauss-Newton product, in their order.

    As in a product, weights, activations and results have separate buffers; results of equal shape
    share a buffer.

    Returns:
        A function that runs them.
    """
    # Drawn where they are used: a processor takes long for the activations of a large net.
    random = torch.Generator(device).manual_seed(1)

    def matrix(rows: int, columns: int) -> Tensor:
        return torch.randn(rows, columns, generator=random, device=device).to(dtype)

    weights = [matrix(b, a) for a, b in pairwise(net.sizes)]
    directions = [matrix(b, a) for a, b in pairwise(net.sizes)]
    activations = [matrix(net.frames, size) for size in net.sizes[:-1]]
    results = [torch.empty_like(w) for w in weights]
    values = {size: matrix(net.frames, size) for size in set(net.sizes)}
    spare = {size: torch.empty_like(value) for size, value in values.items()}

    def multiply() -> None:
        for layer, (below, above) in enumerate(pairwise(net.sizes)):
            torch.mm(activations[layer], directions[layer].T, out=spare[above])
            if layer:
                torch.mm(values[below], weights[layer].T, out=spare[above])
        for layer in range(len(weights) - 1, -1, -1):
            below, above = net.sizes[layer : layer + 2]
            torch.mm(values[above].T, activations[layer], out=results[layer])
            if layer:
                torch.mm(values[above], weights[layer], out=spare[below])

    return multiply


def square_gemm(size: int, device: torch.device, dtype: torch.dtype) -> Callable[[], None]:
    """Prepare one product of two square matrices [size, size]: 2 size³ FLOPs."""
    random = torch.Generator().manual_seed(2)
    a, b = (torch.randn(size, size, generator=random).to(device, dtype) for _ in "ab")
    out = torch.empty_like(a)

    def multiply() -> None:
        torch.mm(a, b, out=out)

    return multiply
