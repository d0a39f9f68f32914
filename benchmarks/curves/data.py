"""Images of curves, made by code, and the autoencoders that are trained on them.

After the CURVES task of Hinton & Salakhutdinov (2006), on which Martens (2010) introduced
Hessian-free optimisation: 28 x 28 images of a curve through three random points, which six numbers
describe, go through a code of six units.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

SIZE = 28
WIDTHS = (400, 200, 100, 50, 25, 6)
_INK = 0.035
_POINTS = 40
_AT_ONCE = 500


def curves(count: int, seed: int) -> Tensor:
    """Draw quadratic Bézier curves.

    Args:
        count: number N of images.
        seed: seed of their control points.

    Returns:
        Images [N, 784], values from 0 to 1.
    """
    generator = torch.Generator().manual_seed(seed)
    controls = 0.1 + 0.8 * torch.rand(count, 3, 2, generator=generator)
    t = torch.linspace(0, 1, _POINTS)
    weights = torch.stack([(1 - t) ** 2, 2 * t * (1 - t), t**2])
    path = torch.einsum("npc,pt->ntc", controls, weights)
    centres = (torch.arange(SIZE) + 0.5) / SIZE
    images = []
    for part in torch.split(path, _AT_ONCE):
        near = torch.exp(-((centres - part[..., None]) ** 2) / (2 * _INK**2))
        # The pen leaves at each pixel the ink of the nearest point.
        images.append((near[:, :, 1, :, None] * near[:, :, 0, None, :]).amax(1).flatten(1))
    return torch.cat(images)


def autoencoder(activation: str, seed: int) -> nn.Sequential:
    """Make a deep autoencoder whose code layer and outputs are linear.

    Args:
        activation: sigmoid, as in 2006, with weights by Glorot & Bengio (2010); or relu, with
            weights by He et al. (2015).
        seed: seed of the weights.

    Returns:
        The network, from images to logits of images [N, 784].
    """
    torch.manual_seed(seed)
    sizes = [SIZE * SIZE, *WIDTHS, *WIDTHS[-2::-1], SIZE * SIZE]
    layers: list[nn.Module] = []
    for depth, (inputs, outputs) in enumerate(pairwise(sizes)):
        layer = nn.Linear(inputs, outputs)
        if activation == "relu":
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        else:
            nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
        layers.append(layer)
        if depth not in (len(WIDTHS) - 1, len(sizes) - 2):
            layers.append(nn.ReLU() if activation == "relu" else nn.Sigmoid())
    return nn.Sequential(*layers)
