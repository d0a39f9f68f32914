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
        found = self._vectors.get(name)
        if found is None or (found.shape, found.dtype, found.device) != (
            like.shape,
            like.dtype,
            like.device,
        ):
            found = self._vectors[name] = torch.empty_like(like)
        return found

    def copy(self, name: str, source: Tensor) -> Tensor:
        """Return the vector of that name, holding what `source` [n] holds."""
        return self.vector(name, source).copy_(source)
