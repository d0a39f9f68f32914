"""The state of an optimiser and of its parts, as checkpoints hold it.

A state is {"tensors": ..., "values": ...}: tensors by name, and values that JSON knows. The tensors
of a part stand among those of the whole, with the part's name and a dot before their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

State = dict[str, dict[str, Any]]


def nest(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a part as the whole names them."""
    return {f"{part}.{name}": tensor for name, tensor in tensors.items()}


def nested(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a part among those of the whole, as the part names them."""
    prefix = f"{part}."
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def copied(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors as they are now, to be put back by `restore`."""
    return {name: tensor.clone() for name, tensor in tensors.items()}


def restore(tensors: Mapping[str, Tensor], before: Mapping[str, Tensor]) -> None:
    """Give tensors the values that `copied` returned, or others of their names."""
    for name, tensor in tensors.items():
        tensor.copy_(before[name])
