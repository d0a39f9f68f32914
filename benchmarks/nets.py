"""The networks that are timed, and the cost of their products."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from asr_hf.models.dnn import DNN

CONTEXT = 5
_WINDOW = 2 * CONTEXT + 1


@dataclass(frozen=True)
class Net:
    """A plain network.

    Args:
        name: key in the results.
        sizes: inputs (a multiple of the context window of 11 frames), hidden layers, outputs.
        frames: number of frames F that go through the network at once.
    """

    name: str
    sizes: tuple[int, ...]
    frames: int

    @property
    def layout(self) -> str:
        """Sizes in short form, for example 440-1024×5-2220."""
        first, *hidden, last = self.sizes
        same = len(set(hidden)) == 1
        middle = f"{hidden[0]}×{len(hidden)}" if same else "-".join(map(str, hidden))
        return f"{first}-{middle}-{last}"

    @property
    def feature_dim(self) -> int:
        """Number of features of one frame."""
        return self.sizes[0] // _WINDOW

    @property
    def parameters(self) -> int:
        """Number of parameters n, with the biases."""
        return sum((a + 1) * b for a, b in pairwise(self.sizes))

    @property
    def product_flops(self) -> int:
        """Number of FLOPs of a Gauss-Newton product's GEMMs: four a layer, two in the first layer.

        The input of the first layer has no tangent, and needs no gradient.
        """
        return self._flops(4, 2)

    @property
    def gradient_flops(self) -> int:
        """Number of FLOPs of a gradient's GEMMs: three a layer, two in the first layer."""
        return self._flops(3, 2)

    def _flops(self, gemms: int, first: int) -> int:
        weights = [a * b for a, b in pairwise(self.sizes)]
        return 2 * self.frames * (gemms * sum(weights[1:]) + first * weights[0])

    def model(self, seed: int = 0) -> DNN:
        """Make the model, with sigmoid units and random weights."""
        _, *hidden, last = self.sizes
        return DNN(
            feature_dim=self.feature_dim,
            num_pdfs=last,
            hidden_sizes=hidden,
            left=CONTEXT,
            right=CONTEXT,
            seed=seed,
        )


NETS = (
    Net("A", (440, *[1024] * 5, 2220), 4096),
    Net("B", (440, *[2048] * 6, 9300), 1024),
)
QUICK_NETS = (
    Net("A", (44, *[128] * 3, 200), 512),
    Net("B", (44, *[192] * 4, 400), 256),
)


class Problem:
    """A network with frames, labels and a vector to be multiplied, all random.

    Args:
        net: shape of the network and number of frames.
        device: device of all tensors.
        dtype: dtype of everything but the labels.
        seed: seed of the random numbers.
    """

    def __init__(self, net: Net, device: torch.device, dtype: torch.dtype, seed: int = 0) -> None:
        self.net = net
        self.model = net.model(seed).to(device=device, dtype=dtype)
        random = torch.Generator().manual_seed(seed)
        shape = (net.frames, net.sizes[0])
        self.inputs = torch.randn(shape, generator=random).to(device, dtype)
        self.labels = torch.randint(net.sizes[-1], (net.frames,), generator=random).to(device)
        # A product may be of lower precision than its vector.
        wide = torch.float32 if dtype is torch.bfloat16 else dtype
        self.vector = torch.randn(net.parameters, generator=random).to(device, wide)
        self.parameters = list(self.model.parameters())

    @property
    def pieces(self) -> tuple[Tensor, ...]:
        """Split the vector into views in the parameters' shapes."""
        parts = torch.split(self.vector, [p.numel() for p in self.parameters])
        return tuple(part.view(p.shape) for part, p in zip(parts, self.parameters, strict=True))
