"""Torch optimisers that work together on views of one vector, and their state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from asr_hf.baselines.parameters import ParameterPlace, ParameterViews


class Update:
    """Changes θ by torch optimisers, each of which has some of the parameters.

    Args:
        views: the parameters, views of θ.
        places: their places in θ.
        optimisers: optimisers of the views.
    """

    def __init__(
        self,
        views: ParameterViews,
        places: Sequence[ParameterPlace],
        optimisers: Sequence[torch.optim.Optimizer],
    ) -> None:
        self._views, self._places, self._optimisers = views, places, optimisers
        self._gradient: Tensor | None = None

    def step(self, gradient: Tensor, rate: float) -> None:
        """Take one step.

        Args:
            gradient: gradient at θ [n].
            rate: learning rate of every parameter.
        """
        # Objectives reuse the vector of their gradients.
        if gradient is not self._gradient:
            self._gradient = gradient
            gradients = ParameterViews.of(gradient, self._places)
            for parameter, its_gradient in zip(self._views.all, gradients.all, strict=True):
                parameter.grad = its_gradient
        for optimiser in self._optimisers:
            for group in optimiser.param_groups:
                group["lr"] = rate
            optimiser.step()

    def forget(self) -> None:
        """Drop the state of every parameter, as if no step had been taken."""
        for optimiser in self._optimisers:
            optimiser.state.clear()

    def state_tensors(self) -> dict[str, Tensor]:
        """Return the state by number of the optimiser, number of its parameter, and name."""
        return {
            f"{number}.{place}.{name}": value
            for number, optimiser in enumerate(self._optimisers)
            for place, parameter in enumerate(_parameters(optimiser))
            for name, value in optimiser.state.get(parameter, {}).items()
            if value is not None
        }

    def load_state_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore what `state_tensors` returned."""
        self.forget()
        for key, value in tensors.items():
            number, place, name = key.split(".", 2)
            optimiser = self._optimisers[int(number)]
            parameter = _parameters(optimiser)[int(place)]
            # Counts of steps lie on the host, but for fused kernels.
            on_host = value.dim() == 0 and not optimiser.defaults.get("fused")
            device = torch.device("cpu") if on_host else parameter.device
            optimiser.state[parameter][name] = value.to(device, copy=True)


def _parameters(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]
