"""Layer-wise discriminative pretraining (Seide, Li, Chen & Yu 2011, section 3.3)."""

from __future__ import annotations

from collections.abc import Callable

import torch

from asr_hf.models.dnn import DNN


def pretrain(model: DNN, train: Callable[[DNN], None], first_depth: int = 1) -> None:
    """Grow `model` from its lowest hidden layer, training briefly at every depth below the last.

    At each depth the layers so far, with a fresh output layer on top, are trained together; the
    output layer is then thrown away and the next hidden layer put on. The last hidden layer and
    the output layer of `model` keep their initial weights: what follows pretraining trains them.

    Args:
        model: its hidden layers below the last are replaced.
        train: trains the network that it is given, in place, stopping well before convergence.
        first_depth: hidden layers of the first network; above 1 to resume after
            `first_depth - 1` trained depths whose layers `model` holds already.
    """
    for depth in range(first_depth, len(model.hidden_sizes)):
        smaller = shallower(model, depth)
        train(smaller)
        copy_hidden_layers(smaller, model)


def shallower(model: DNN, depth: int) -> DNN:
    """Return a network of the lowest `depth` hidden layers of `model` under a fresh output layer.

    It shares no memory with `model` and has its input normalisation and priors.
    """
    smaller = DNN(
        feature_dim=model.feature_dim,
        num_pdfs=model.num_pdfs,
        hidden_sizes=model.hidden_sizes[:depth],
        activation=model.activation,
        left=model.left,
        right=model.right,
        initialisation=model.initialisation,
        seed=model.seed,
    ).to(model.flat)
    for name, buffer in smaller.named_buffers():
        buffer.copy_(model.get_buffer(name))
    smaller.start_at_priors()
    copy_hidden_layers(model, smaller)
    return smaller


@torch.no_grad()
def copy_hidden_layers(source: DNN, target: DNN) -> None:
    """Copy the hidden layers that both networks have, from the input up."""
    shared = min(len(source.hidden_sizes), len(target.hidden_sizes))
    for mine, theirs in zip(
        source.linear_layers()[:shared], target.linear_layers()[:shared], strict=True
    ):
        theirs.weight.copy_(mine.weight)
        theirs.bias.copy_(mine.bias)
