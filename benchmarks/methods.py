"""Ways to compute a Gauss-Newton product J'H J v, ours and others.

Each method takes a problem and returns a function without arguments that computes a product with
the problem's vector. What a method keeps between products is made when the method is called.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, linearize
from torch.nn.functional import cross_entropy

from asr_hf.criteria.cross_entropy import CrossEntropy
from asr_hf.curvature.chunks import ChunkMaker, CurvaturePath
from asr_hf.curvature.precision import Precision
from asr_hf.runtime.errors import InputError
from benchmarks.nets import Problem

# Their type hints have one value more than they return without auxiliary outputs.
jvp: Any = torch.func.jvp
vjp: Any = torch.func.vjp

# A flat vector [n], or one piece for each parameter.
Result = Tensor | tuple[Tensor, ...]
Product = Callable[[], Result]
Method = Callable[[Problem, Precision], Product]


def gradient(problem: Problem, precision: Precision) -> Product:
    """Compute the gradient by autograd on the same frames, the measure of all methods."""

    def compute() -> Result:
        loss = cross_entropy(problem.model(problem.inputs), problem.labels, reduction="sum")
        return torch.autograd.grad(loss, problem.parameters)

    return compute


def r_operator(problem: Problem, precision: Precision) -> Product:
    """Compute products by asr-hf's path for plain DNNs."""
    return _ours(problem, precision, CurvaturePath.R_OPERATOR)


def double_backward(problem: Problem, precision: Precision) -> Product:
    """Compute products by asr-hf's path for any network."""
    return _ours(problem, precision, CurvaturePath.DOUBLE_BACKWARD)


def _ours(problem: Problem, precision: Precision, path: CurvaturePath) -> Product:
    make = ChunkMaker(problem.model, path)
    chunk = make(problem.inputs, CrossEntropy().curvature, precision)
    out = torch.empty_like(problem.vector)

    def compute() -> Result:
        chunk.add_product(problem.vector, out.zero_())
        return out

    return compute


def jvp_vjp(problem: Problem, precision: Precision) -> Product:
    """Compute products by torch.func's jvp and vjp, both anew for each product."""
    outputs = _of_parameters(problem)
    parameters = tuple(p.detach() for p in problem.parameters)

    def compute() -> Result:
        logits, forward = jvp(outputs, parameters, problem.pieces)
        _, transpose = vjp(outputs, *parameters)
        return tuple(transpose(CrossEntropy().curvature(logits)(forward)))

    return compute


def linearised(problem: Problem, precision: Precision) -> Product:
    """Compute products by torch.func.linearize and a vjp, both kept between products."""
    outputs = _of_parameters(problem)
    parameters = tuple(p.detach() for p in problem.parameters)
    with warnings.catch_warnings():
        # Its constant folding warns of nodes that it made itself.
        warnings.filterwarnings("ignore", message="Attempted to insert a get_attr Node")
        logits, push = linearize(outputs, *parameters)
    _, pull = vjp(outputs, *parameters)
    curvature = CrossEntropy().curvature(logits)
    return lambda: tuple(pull(curvature(push(*problem.pieces))))


def _of_parameters(problem: Problem) -> Callable[..., Tensor]:
    names = [name for name, _ in problem.model.named_parameters()]

    def outputs(*parameters: Tensor) -> Tensor:
        values = dict(zip(names, parameters, strict=True))
        logits: Tensor = functional_call(problem.model, values, (problem.inputs,))
        return logits

    return outputs


def curvlinops(problem: Problem, precision: Precision) -> Product:
    """Compute products by curvlinops' GGNLinearOperator."""
    operator = _peer("curvlinops").GGNLinearOperator(
        problem.model,
        torch.nn.CrossEntropyLoss(reduction="sum"),
        problem.parameters,
        [(problem.inputs, problem.labels)],
        check_deterministic=False,
        num_data=problem.net.frames,
    )

    def compute() -> Result:
        product: Tensor = operator @ problem.vector
        return product

    return compute


def backpack(problem: Problem, precision: Precision) -> Product:
    """Compute products by BackPACK's ggn_vector_product, with the graph of one forward pass."""
    multiply = _peer("backpack.hessianfree.ggnvp").ggn_vector_product
    logits = problem.model(problem.inputs)
    loss = cross_entropy(logits, problem.labels, reduction="sum")
    return lambda: tuple(multiply(loss, logits, problem.model, list(problem.pieces)))


def _peer(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise InputError(
            f"{module.split('.')[0]} is not installed: {error}", remedy="run: make bench"
        ) from error


OURS: dict[str, Method] = {"r_operator": r_operator, "double_backward": double_backward}
PEERS: dict[str, Method] = {
    "linearize": linearised,
    "jvp_vjp": jvp_vjp,
    "curvlinops": curvlinops,
    "backpack": backpack,
}
METHODS: dict[str, Method] = {"gradient": gradient, **OURS, **PEERS}


def methods_in(precision: Precision) -> dict[str, Method]:
    """Return the methods that can compute in `precision`; peers follow torch's switch for TF32."""
    if precision is Precision.BF16:
        return {"gradient": gradient, **OURS}
    return METHODS


def flat(result: Result) -> Tensor:
    """Concatenate a result into one vector [n]."""
    if isinstance(result, Tensor):
        return result
    return torch.cat([piece.detach().reshape(-1) for piece in result])
