"""Muon whose orthogonalisation is in float32, for processors that only emulate bfloat16."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from asr_hf.curvature.precision import arithmetic_units


def muon_class(device: torch.device) -> type[torch.optim.Muon]:
    """Return torch's Muon, or that in float32 where bfloat16 is no faster.

    Without units for it, a product in bfloat16 takes a CPU some ten times as long as in float32.
    """
    return torch.optim.Muon if arithmetic_units(device) else Float32Muon


class Float32Muon(torch.optim.Muon):
    """`torch.optim.Muon(adjust_lr_fn="match_rms_adamw")` in the arithmetic of the weights."""

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> Any:
        """Take one step along the gradients that the parameters hold.

        Args:
            closure: computes loss and gradients, as with torch's optimisers.

        Returns:
            The closure's loss; None without one.
        """
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            rate, momentum = float(group["lr"]), group["momentum"]
            for weight in group["params"]:
                state = self.state[weight]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(weight.grad)
                mean = state["momentum_buffer"].lerp_(weight.grad, 1 - momentum)
                update = weight.grad.lerp(mean, momentum) if group["nesterov"] else mean
                update = orthogonalised(
                    update, group["ns_coefficients"], group["ns_steps"], group["eps"]
                )
                weight.mul_(1 - rate * group["weight_decay"])
                weight.add_(update, alpha=-rate * 0.2 * max(weight.shape) ** 0.5)
        return loss


def orthogonalised(
    matrix: Tensor, coefficients: tuple[float, float, float], steps: int, epsilon: float
) -> Tensor:
    """Bring a matrix near the closest one with orthonormal rows or columns (Jordan et al. 2024).

    Args:
        matrix: the matrix [rows, columns].
        coefficients: a, b and c of the polynomial X ← a X + (b A + c A²) X with A = X X'.
        steps: number of Newton-Schulz steps.
        epsilon: least norm that the matrix is divided by.

    Returns:
        The matrix [rows, columns].
    """
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / x.norm().clamp(min=epsilon)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x
