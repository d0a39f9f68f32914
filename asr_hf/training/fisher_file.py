"""The Fisher matrix of a network on disk: one safetensors file with two matrices a layer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from asr_hf.curvature.affine import AffineLayer
from asr_hf.curvature.kronecker import KroneckerFactor
from asr_hf.models.acoustic import AcousticModel
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import atomic_path

FILE_NAME = "fisher.safetensors"
_REMEDY = "give the command of asr-hf adapt again, which measures it"


def save_fisher(path: Path, factors: Mapping[str, KroneckerFactor]) -> None:
    """Write A and B of each layer under the layer's name."""
    tensors: dict[str, Tensor] = {}
    for name, factor in factors.items():
        tensors[f"{name}.inputs"] = factor.inputs.cpu().contiguous()
        tensors[f"{name}.outputs"] = factor.outputs.cpu().contiguous()
    with atomic_path(path) as temporary:
        save_file(tensors, temporary)


def load_fisher(
    path: Path, model: AcousticModel, without: Collection[str] = ()
) -> tuple[KroneckerFactor, ...]:
    """Read what `save_fisher` wrote, for the layers that a network has of it.

    Args:
        path: the file.
        model: the network; the matrices go to its device, in its type.
        without: names of layers that are left out.

    Returns:
        A and B of each layer.

    Raises:
        InputError: the file cannot be read, or is of another network.
    """
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read: {error}", remedy=_REMEDY) from error
    layers = {n: layer for n, layer in model.affine_layers().items() if n not in without}
    return tuple(
        KroneckerFactor(
            layer.start,
            _of(tensors, path, f"{name}.inputs", [[layer.columns] * 2]).to(model.flat),
            _of(tensors, path, f"{name}.outputs", _shapes_of_outputs(layer)).to(model.flat),
            layer.bias,
        )
        for name, layer in layers.items()
    )


def _shapes_of_outputs(layer: AffineLayer) -> list[list[int]]:
    return [[layer.outputs] * 2, [layer.outputs]]


def _of(
    tensors: Mapping[str, Tensor], path: Path, name: str, shapes: Collection[list[int]]
) -> Tensor:
    """Return a tensor of the file, which has to be of one of the shapes."""
    found = tensors.get(name)
    if found is None or list(found.shape) not in shapes:
        raise InputError(
            f"{path}: {name} is {'missing' if found is None else list(found.shape)}",
            expected=f"{' or '.join(map(str, shapes))}, as in the starting model",
            remedy=_REMEDY,
        )
    return found
