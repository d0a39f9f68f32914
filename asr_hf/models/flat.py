"""Modules whose parameters, and whose gradients, are views of one contiguous vector."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def parameter_slices(module: nn.Module) -> dict[str, slice]:
    """Return each parameter's place in the flat vector, by name in `named_parameters()` order."""
    slices, start = {}, 0
    for name, parameter in module.named_parameters():
        slices[name] = slice(start, start + parameter.numel())
        start += parameter.numel()
    return slices


def flatten_parameters(module: nn.Module) -> Tensor:
    """Copy the parameters into one new vector and make them views of it.

    Args:
        module: the module.

    Returns:
        The vector [n].

    Raises:
        ValueError: there are none, or they differ in dtype or device.
    """
    parameters = list(module.parameters())
    kinds = {(p.dtype, p.device) for p in parameters}
    if len(kinds) != 1:
        raise ValueError(f"a flat vector needs parameters of one dtype and device, found {kinds}")
    flat = torch.cat([p.detach().reshape(-1) for p in parameters])
    bind_parameters(module, flat)
    return flat


def bind_parameters(module: nn.Module, flat: Tensor) -> None:
    """Make the parameters views of `flat` [n], taking its values; nothing is copied.

    A graph recorded before sees the new values, so it must not be run backward afterwards.

    Args:
        module: the module.
        flat: the vector.

    Raises:
        ValueError: `flat` is not a contiguous vector of the parameters' total size.
    """
    slices = parameter_slices(module)
    size = max(s.stop for s in slices.values())
    if flat.shape != (size,) or not flat.is_contiguous():
        raise ValueError(f"expected a contiguous vector [{size}], found {list(flat.shape)}")
    for name, parameter in module.named_parameters():
        parameter.data = flat.detach()[slices[name]].view(parameter.shape)


def flatten_gradients(module: nn.Module) -> Tensor:
    """Copy the gradients into one new vector and make them views of it.

    `backward()` then adds straight into the vector. A missing gradient is zero.

    Args:
        module: the module.

    Returns:
        The vector [n].
    """
    parameters = list(module.parameters())
    flat = torch.cat(
        [(torch.zeros_like(p) if p.grad is None else p.grad).reshape(-1) for p in parameters]
    )
    slices = parameter_slices(module).values()
    for parameter, piece in zip(parameters, slices, strict=True):
        parameter.grad = flat[piece].view(parameter.shape)
    return flat


class FlatModule(nn.Module):
    """A module with `flat` [n] and `flat_grad` [n] in place of many parameters.

    The views are checked at every read of `flat` or `flat_grad` and made again where something
    parted them: `.to()`, `copy.deepcopy`, `zero_grad()`, `load_state_dict(assign=True)`. Read
    `flat_grad` once before `backward()`, so that the gradients go straight into it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._flat: Tensor | None = None
        self._flat_grad: Tensor | None = None

    @property
    def flat(self) -> Tensor:
        """Every parameter [n]; writing to it changes the module."""
        if self._flat is None or not _lies_in(list(self.parameters()), self._flat):
            self._flat = flatten_parameters(self)
        return self._flat

    @property
    def flat_grad(self) -> Tensor:
        """The gradient of every parameter [n]; `backward()` adds to it."""
        gradients = [p.grad for p in self.parameters()]
        if self._flat_grad is None or not _lies_in(gradients, self._flat_grad):
            self._flat_grad = flatten_gradients(self)
        return self._flat_grad

    def state_tensors(self) -> dict[str, Tensor]:
        """Return everything to be saved: `flat` [n] and the buffers.

        It replaces `state_dict()`, whose entries share memory, which safetensors refuses.

        Returns:
            The tensors by name.
        """
        return {"flat": self.flat, **dict(self.named_buffers())}

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Copy what `state_tensors` returned, from any device, into this module.

        Args:
            tensors: the tensors by name.

        Raises:
            ValueError: a tensor is missing, unknown, or of another shape.
        """
        state = self.state_tensors()
        expected = {name: list(t.shape) for name, t in state.items()}
        shapes = {name: list(t.shape) for name, t in tensors.items()}
        if expected != shapes:
            wrong = sorted(n for n in expected | shapes if expected.get(n) != shapes.get(n))
            lines = [f"{n}: expected {expected.get(n)}, found {shapes.get(n)}" for n in wrong]
            raise ValueError("these tensors do not fit the model: " + "; ".join(lines))
        for name, tensor in state.items():
            tensor.copy_(tensors[name])


def _lies_in(pieces: list[nn.Parameter] | list[Tensor | None], flat: Tensor) -> bool:
    """Say whether the pieces lie one behind the other in `flat` and fill it."""
    address = flat.data_ptr()
    for piece in pieces:
        if piece is None or piece.data_ptr() != address or piece.dtype != flat.dtype:
            return False
        address += piece.numel() * piece.element_size()
    return address == flat.data_ptr() + flat.numel() * flat.element_size()
