"""A torch.nn.Module as a function of one vector of its parameters."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from asr_hf.curvature.affine import AffineLayer, OnLayer
from asr_hf.models.affine import linear_layers
from asr_hf.optim.examples import Tree, mapped
from asr_hf.optim.random import random_state, seeded
from asr_hf.runtime.errors import InputError

log = logging.getLogger(__name__)


class Network:
    """A module whose trainable parameters are taken from a vector θ at each call.

    The module itself keeps its parameters. Parameters that do not require a gradient stay as they
    are, and so do those that `outputs` does not depend on.

    Args:
        module: the module.
        inputs: inputs of some examples, on which it is tried.

    Attributes:
        module: the module.
        slices: place in θ of each trainable parameter, by its name.
        layers: the affine layers that are used once in a pass, by name.
        draws: whether a pass in training mode draws random numbers, as dropout does.

    Raises:
        InputError: there is no trainable parameter, or the parameters are of several types or on
            several devices; the module returns no tensor with a row for each example; or a layer
            mixes examples.
    """

    def __init__(self, module: nn.Module, inputs: Tree) -> None:
        self.module = module
        self._modules = list(module.modules())
        self._batch_norms = [m for m in module.modules() if isinstance(m, _BatchNorm)]
        self._by_sample = False
        self._take_trainable(dict(_trainable(module)))
        inputs = mapped(lambda tensor: tensor.to(self.device), inputs)
        # Dropout must not draw from the caller's random numbers.
        with seeded(self.device, 0):
            before = random_state(self.device)
            self._leave_out_unused(inputs)
            used = self._uses(inputs)
            after = random_state(self.device)
        self.draws = not all(map(torch.equal, before, after))
        self.layers = {
            name: layer
            for name, layer in linear_layers(module, self.slices).items()
            if used.get(name) == 1
        }
        for name, layer in module.named_modules():
            if isinstance(layer, _BatchNorm) and not layer.track_running_stats:
                raise InputError(
                    f"module: {name} normalises by the batch alone, so that the loss of an example "
                    "depends on the others",
                    expected="track_running_stats=True, or nn.GroupNorm or nn.LayerNorm",
                )

    def _take_trainable(self, parameters: dict[str, nn.Parameter]) -> None:
        self._parameters = parameters
        kinds = {(p.dtype, p.device) for p in parameters.values()}
        if len(kinds) != 1 or not all(dtype.is_floating_point for dtype, _ in kinds):
            found = ", ".join(sorted(f"{dtype} on {device}" for dtype, device in kinds))
            raise InputError(
                f"module: its trainable parameters are {found or 'none'}",
                expected="parameters that require a gradient, of one floating type on one device",
            )
        ((self.dtype, self.device),) = kinds
        self.slices, start = {}, 0
        for name, parameter in parameters.items():
            self.slices[name] = slice(start, start + parameter.numel())
            start += parameter.numel()
        self.size = start

    def _leave_out_unused(self, inputs: Tree) -> None:
        leaves = self.leaves(self.theta(), requires_grad=True)
        outputs = self.outputs(leaves, inputs, training=True)
        found = torch.autograd.grad(outputs.sum(), leaves, allow_unused=True)
        unused = [n for n, g in zip(self._parameters, found, strict=True) if g is None]
        if unused:
            log.warning("the outputs do not depend on %s: they stay as they are", ", ".join(unused))
            self._take_trainable({n: p for n, p in self._parameters.items() if n not in unused})

    @torch.no_grad()
    def _uses(self, inputs: Tree) -> dict[str, int]:
        """Count how often each linear layer is used in a pass."""
        counts: dict[str, int] = {}

        def count(name: str) -> Callable[..., None]:
            def hook(*_: Any) -> None:
                counts[name] = counts.get(name, 0) + 1

            return hook

        handles = [
            layer.register_forward_hook(count(name))
            for name, layer in self.module.named_modules()
            if isinstance(layer, nn.Linear)
        ]
        try:
            self.outputs(self.leaves(self.theta()), inputs, training=True)
        finally:
            for handle in handles:
                handle.remove()
        return counts

    @property
    def weights(self) -> tuple[slice, ...]:
        """The places in θ of all parameters but vectors, which are biases and scales."""
        return tuple(self.slices[n] for n, p in self._parameters.items() if p.dim() > 1)

    @property
    def others(self) -> tuple[str, ...]:
        """The names of the parameters that belong to none of `layers`."""
        covered = {f"{layer}.{part}" for layer in self.layers for part in ("weight", "bias")}
        return tuple(name for name in self.slices if name not in covered)

    @torch.no_grad()
    def theta(self) -> Tensor:
        """Return the module's parameters as a new vector [n]."""
        return torch.cat([p.detach().reshape(-1) for p in self._parameters.values()])

    @torch.no_grad()
    def write(self, theta: Tensor) -> None:
        """Give the module the parameters θ [n]."""
        for parameter, part in zip(self._parameters.values(), self.leaves(theta), strict=True):
            parameter.copy_(part)

    def leaves(self, vector: Tensor, requires_grad: bool = False) -> list[Tensor]:
        """Return the parts of a vector [n] in the parameters' shapes, as views.

        Args:
            vector: the vector.
            requires_grad: whether the parts are leaves to differentiate by.
        """
        whole = vector.detach()
        return [
            whole[self.slices[name]].view(parameter.shape).requires_grad_(requires_grad)
            for name, parameter in self._parameters.items()
        ]

    def outputs(self, leaves: Sequence[Tensor], inputs: Tree, *, training: bool) -> Tensor:
        """Return the module's outputs [N, ...].

        Args:
            leaves: the parameters, as `leaves` gives them.
            inputs: what the module takes; a tuple stands for several arguments, a dictionary for
                arguments by name.
            training: whether the module is in training mode; batch normalisation goes by its
                running statistics all the same, but in the block of `by_sample`.

        Returns:
            The outputs.

        Raises:
            InputError: the module returns something else.
        """
        arguments: tuple[Any, ...] = ()
        named: dict[str, Any] = {}
        if isinstance(inputs, Mapping):
            named = dict(inputs)
        else:
            arguments = tuple(inputs) if isinstance(inputs, tuple | list) else (inputs,)
        parameters = dict(zip(self._parameters, leaves, strict=True))
        with self._mode(training):
            outputs = functional_call(self.module, parameters, arguments, named)
        if not isinstance(outputs, Tensor) or not outputs.dim():
            raise InputError(
                f"module: it returns {type(outputs).__name__}",
                expected="a tensor with a row for each example [N, ...]",
                remedy="wrap it in a module that returns the outputs alone",
            )
        return outputs

    @contextmanager
    def _mode(self, training: bool) -> Iterator[None]:
        before = [module.training for module in self._modules]
        for module in self._modules:
            module.training = training
        for layer in self._batch_norms:
            layer.training = training and self._by_sample
        try:
            yield
        finally:
            for module, mode in zip(self._modules, before, strict=True):
                module.training = mode

    @property
    def statistics(self) -> dict[str, Tensor]:
        """The running statistics of batch normalisation, by their names in the module."""
        return {
            f"{name}.{kind}": buffer
            for name, layer in self.module.named_modules()
            if isinstance(layer, _BatchNorm)
            for kind, buffer in layer.named_buffers()
        }

    @contextmanager
    def by_sample(self) -> Iterator[None]:
        """Normalise by the examples at hand inside the block; running statistics follow."""
        self._by_sample, before = True, self._by_sample
        try:
            yield
        finally:
            self._by_sample = before

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Let running statistics be those of the passes in the block."""
        momenta = [layer.momentum for layer in self._batch_norms]
        for layer in self._batch_norms:
            layer.reset_running_stats()
            layer.momentum = None
        try:
            with self.by_sample():
                yield
        finally:
            for layer, momentum in zip(self._batch_norms, momenta, strict=True):
                layer.momentum = momentum

    @contextmanager
    def tapped(self, on_input: OnLayer) -> Iterator[list[Tensor]]:
        """Show the inputs of the affine layers in one pass, and give their outputs.

        Args:
            on_input: called with a layer's number and its input [rows, in].

        Yields:
            The layers' outputs in the order of `layers`; the list is full after the pass.
        """
        outputs: list[Tensor] = [torch.empty(0)] * len(self.layers)

        def record(number: int, value: Tensor, output: Tensor) -> Tensor:
            rows = value.detach()
            on_input(number, rows.reshape(-1, rows.shape[-1]))
            outputs[number] = output
            # What follows may change its input in place.
            return output.clone()

        handles = [
            self.module.get_submodule(name).register_forward_hook(
                lambda _m, given, out, n=number: record(n, given[0], out)
            )
            for number, name in enumerate(self.layers)
        ]
        try:
            yield outputs
        finally:
            for handle in handles:
                handle.remove()

    def affine_layers(self) -> tuple[AffineLayer, ...]:
        """Return where the affine layers lie in θ, in the order of `layers`."""
        return tuple(self.layers.values())


def _trainable(module: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    for name, parameter in module.named_parameters():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            raise InputError(
                f"module: {name} has no shape yet", remedy="give the module one batch first"
            )
        if parameter.requires_grad:
            yield name, parameter
