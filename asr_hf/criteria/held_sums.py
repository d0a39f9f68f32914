"""What a criterion says of the memory that it needs between its passes."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch

# The bound where `runtime.memory` sets none.
SUMS_BYTES = 1 << 29


@runtime_checkable
class HoldsSums(Protocol):
    """A criterion that keeps sums of each frame from its forward pass to its backward pass.

    Attributes:
        sums_bytes: bound on the bytes of these sums. What does not fit is computed twice.
    """

    sums_bytes: int

    def frames_held(self, dtype: torch.dtype, device: torch.device) -> int | None:
        """Return the number of frames whose sums fit, for outputs of a dtype on a device.

        None says that no pass keeps sums of all frames.
        """
        ...
