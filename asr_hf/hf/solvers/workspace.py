"""A solver's vectors, allocated in its first run and used again in later ones."""

from __future__ import annotations

import torch
from torch import Tensor


class Workspace:
    """Vectors by name; what one run leaves in them, the next overwrites."""

    def __init__(self) -> None:
        self._vectors: dict[str, Tensor] = {}

    def vector(self, name: str, like: Tensor) -> Tensor:
        """Return the vector of that name, shaped as `like` [n], its content undefined."""
        vector = self._vectors.get(name)
        if vector is None or (vector.shape, vector.dtype, vector.device) != (
            like.shape,
            like.dtype,
            like.device,
        ):
            vector = self._vectors[name] = torch.empty_like(like)
        return vector

    def copy(self, name: str, source: Tensor) -> Tensor:
        """Return the vector of that name, holding what `source` [n] holds."""
        return self.vector(name, source).copy_(source)
