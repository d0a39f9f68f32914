"""Parameters of a network as views of one vector, sorted by how optimisers treat them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

from torch import Tensor


@dataclass(frozen=True)
class ParameterPlace:
    """Place of one parameter in θ.

    Args:
        start: number of its first entry.
        shape: its shape.
        output: whether it is the weight matrix of the output layer.
    """

    start: int
    shape: tuple[int, ...]
    output: bool = False

    def view(self, vector: Tensor) -> Tensor:
        """Return this parameter's part of a vector [n] as a view, in its shape."""
        return vector[self.start : self.start + prod(self.shape)].view(self.shape)


@dataclass(frozen=True)
class ParameterViews:
    """Views of θ, or of a vector like it.

    Args:
        hidden: weight matrices of hidden layers.
        other_weights: weights of the output layer, and of layers whose weights are no matrices.
        biases: biases, and scales of normalisation layers; weight decay leaves them alone.
    """

    hidden: list[Tensor]
    other_weights: list[Tensor]
    biases: list[Tensor]

    @classmethod
    def of(cls, vector: Tensor, places: Iterable[ParameterPlace]) -> ParameterViews:
        """Make the views of the parameters at `places` in a vector [n]."""
        views = cls([], [], [])
        for place in places:
            if len(place.shape) < 2:
                views.biases.append(place.view(vector))
            elif len(place.shape) == 2 and not place.output:
                views.hidden.append(place.view(vector))
            else:
                views.other_weights.append(place.view(vector))
        return views

    @property
    def all(self) -> list[Tensor]:
        """Every parameter."""
        return [*self.hidden, *self.other_weights, *self.biases]


def decayed_groups(
    weights: Sequence[Tensor], biases: Sequence[Tensor], **settings: float
) -> list[dict[str, object]]:
    """Make the parameter groups of a torch optimiser.

    Args:
        weights: parameters that `settings` hold for.
        biases: parameters for which they are zero.
        settings: strength of weight decay, by the optimiser's name of it.

    Returns:
        The groups, without empty ones.
    """
    groups = [(weights, settings), (biases, dict.fromkeys(settings, 0.0))]
    return [{"params": list(views), **values} for views, values in groups if views]
