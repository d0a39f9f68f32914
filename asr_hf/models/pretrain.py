"""Layer-wise discriminative pretraining (Seide, Li, Chen & Yu 2011, section 3.3)."""

from __future__ import annotations

from collections.abc import Callable

import torch

from asr_hf.models.acoustic import AcousticModel
from asr_hf.models.description import DescribedLayer
from asr_hf.runtime.errors import InputError


def pretrain(
    model: AcousticModel, train: Callable[[AcousticModel], None], first_depth: int = 1
) -> None:
    """Grow `model` from its lowest hidden layer, training briefly at every depth below the last.

    At each depth the layers so far, with a fresh output layer on top, are trained together; the
    output layer is then thrown away and the next hidden layer put on. The last hidden layer and
    the output layer of `model` keep their initial weights: what follows pretraining trains them.

    Args:
        model: its hidden layers below the last are replaced.
        train: trains the network that it is given, in place, stopping well before convergence.
        first_depth: hidden layers of the first network; above 1 to resume after
            `first_depth - 1` trained depths whose layers `model` holds already.

    Raises:
        InputError: the model does not say how it is made from fewer layers.
    """
    description = model.description
    if description is None or description.shallower is None:
        raise InputError(
            f"pretraining: {type(model).__name__} cannot be grown layer by layer",
            expected="model=dnn",
            remedy="leave out pretraining=layerwise",
        )
    for depth in range(first_depth, len(description.layers) - 1):
        smaller = description.shallower(depth)
        assert isinstance(smaller, AcousticModel)
        train(smaller)
        for source, target in zip(hidden_layers(smaller), hidden_layers(model), strict=False):
            _copy(source, target)


def hidden_layers(model: AcousticModel) -> tuple[DescribedLayer, ...]:
    """Return the layers below the output layer, from the input up.

    Raises:
        ValueError: the model does not describe itself.
    """
    if model.description is None:
        raise ValueError(f"{type(model).__name__} does not describe its layers")
    return model.description.layers[:-1]


@torch.no_grad()
def _copy(source: DescribedLayer, target: DescribedLayer) -> None:
    target.linear.weight.copy_(source.linear.weight)
    target.linear.bias.copy_(source.linear.bias)
