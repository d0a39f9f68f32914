"""Measures how many bytes of tensors a piece of work holds."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


@dataclass
class Usage:
    """Bytes of tensors beyond those held before.

    Attributes:
        peak: the most bytes at any time.
        held: bytes still held at the end.
    """

    peak: int = 0
    held: int = 0


@contextmanager
def measured(device: torch.device) -> Iterator[Usage]:
    """Measure the tensors that the block allocates; read the result after it.

    On a GPU the allocator counts. On the CPU every operation's results are followed until their
    memory is released; what a kernel allocates for itself is not seen.

    Args:
        device: the device that the block works on.

    Yields:
        The usage, which is filled in when the block ends.
    """
    usage = Usage()
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        yield usage
        usage.peak = torch.cuda.max_memory_allocated(device) - before
        usage.held = torch.cuda.memory_allocated(device) - before
        return
    with _Followed() as followed:
        yield usage
    usage.peak, usage.held = followed.peak, followed.live


class _Followed(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the storages that operations create and takes off those that die."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self._known: dict[int, weakref.finalize[Any, Any]] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: torch would load its compiler, 1 s, only to turn it off here."""
        return False

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        given = {x.untyped_storage()._cdata for x in _tensors((args, kwargs or {}))}
        result = func(*args, **(kwargs or {}))
        for tensor in _tensors(result):
            storage = tensor.untyped_storage()
            key = storage._cdata
            if key not in given and key not in self._known:
                self._known[key] = weakref.finalize(storage, self._release, key, storage.nbytes())
                self.live += storage.nbytes()
        self.peak = max(self.peak, self.live)
        return result

    def _release(self, key: int, size: int) -> None:
        self._known.pop(key, None)
        self.live -= size


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        # Sparse ones lie in strided ones, which are counted where they are made.
        if value.layout is torch.strided:
            yield value
    elif isinstance(value, dict):
        yield from _tensors(tuple(value.values()))
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _tensors(item)
