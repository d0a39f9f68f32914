"""Tries the user's own classes before training, so that their faults show at once."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from asr_hf.criteria.needs import CriterionNeeds, Targets
from asr_hf.data.store import FrameStore
from asr_hf.hf.objective import Split
from asr_hf.models.acoustic import AcousticModel
from asr_hf.models.registry import full_name
from asr_hf.runtime.declared import declared
from asr_hf.runtime.errors import AsrHfError, InputError
from asr_hf.training.export_formats import formats_of_layers
from asr_hf.training.frame_objective import FrameObjective

log = logging.getLogger(__name__)

_UTTERANCES = 3
# Of differences, relative to the parameters; and how far they may lie from the derivative, as they
# do where activations have kinks.
_STEP, _APART = 1e-3, 0.1
_FEW = 5
_PAGE = "docs/your-classes.md says what is asked of it"


def is_own(part: object) -> bool:
    """Say whether an object's class is the user's own."""
    return not type(part).__module__.startswith("asr_hf.")


def try_model(
    model: AcousticModel, store: FrameStore, build: Callable[[], AcousticModel], exported: str = ""
) -> None:
    """Try a model of the user's own on a few utterances; built-in ones pass unseen.

    Args:
        model: the model; its parameters and buffers stay as they are.
        store: the training data.
        build: makes the model again from its settings, as reading its file will.
        exported: the form that the model is to be exported in, if that is known.

    Raises:
        InputError: the model has a fault, which the message names.
        AsrHfError: the model raises one itself.
    """
    if not is_own(model):
        return
    name = full_name(type(model))
    impossible = [] if model.description else formats_of_layers()
    if impossible:
        log.info(
            "%s: a class of your own; asr-hf export writes its loglikes and priors, not %s or %s",
            name,
            ", ".join(impossible[:-1]),
            impossible[-1],
        )
    if exported in impossible:
        raise InputError(
            f"export.format={exported}: there is no such form of {name}",
            expected="a model of asr-hf's own, or export.format=loglikes or priors",
        )
    try:
        _try(model, store, build)
    except AsrHfError:
        raise
    except _LacksError as lack:
        raise InputError(f"model._target_: {name}: {lack}", remedy=_PAGE) from lack
    except Exception as error:  # a class of the user's own may fail in any way
        raise InputError(
            f"model._target_: {name} fails on the training data: {type(error).__name__}: {error}",
            remedy="--debug shows where it fails",
        ) from error


class _LacksError(Exception):
    """A class has a fault, which the message names."""


def _try(model: AcousticModel, store: FrameStore, build: Callable[[], AcousticModel]) -> None:
    units = np.arange(min(_UTTERANCES, store.num_units))
    device = model.flat.device
    batch = store.gather(units, device)
    before = {n: t.clone() for n, t in model.state_tensors().items()}

    def logits(network: AcousticModel, *index: Tensor) -> Tensor:
        with torch.no_grad():
            values: Tensor = network(network.inputs(batch, *index))
        return values

    whole = logits(model)
    shape = [len(batch.starts), model.num_pdfs]
    if list(whole.shape) != shape or not bool(torch.isfinite(whole).all()):
        raise _LacksError(f"finite logits {shape} are expected, not {list(whole.shape)}")
    if not torch.equal(whole, logits(model)):
        raise _LacksError("the same frames give other logits a second time (dropout?)")
    if any(not torch.equal(before[n], t) for n, t in model.state_tensors().items()):
        raise _LacksError("a forward pass changes its buffers (batch normalisation?)")
    some = torch.arange(0, len(whole), max(1, len(whole) // _FEW), device=device)
    if not _close(logits(model, some), whole[some]):
        raise _LacksError("inputs(batch, index) gives other logits than inputs(batch)")
    first = int(batch.ends[0])
    batch = store.gather(units[:1], device)
    if not _close(logits(model), whole[:first]):
        raise _LacksError("the logits of an utterance depend on those beside it")
    _try_description(model, batch.features, whole[:first])
    _try_gradients(model, model.inputs(batch))
    again = build().to(device)
    again.load_state_tensors(before)
    if not _close(logits(again), whole[:first]):
        raise _LacksError("made again from its settings and its tensors, it gives other logits")


def _close(logits: Tensor, expected: Tensor) -> bool:
    """Say whether logits are equal but for rounding, as sums in another order are."""
    return torch.allclose(logits, expected, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def _try_description(model: AcousticModel, features: Tensor, logits: Tensor) -> None:
    """Hold the description, which exports and curvature products rely on, against `forward`."""
    if model.description is None:
        return
    rows = features.to(model.flat.dtype)
    if not _close(model.description.logits(rows, model.normalise), logits):
        raise _LacksError("describe() gives other logits than forward")


def _try_gradients(model: AcousticModel, inputs: Any) -> None:
    parameters = dict(model.named_parameters())
    leaves = list(parameters.values())
    gradients = torch.autograd.grad(model(inputs).sum(), leaves, allow_unused=True)
    unused = [n for n, g in zip(parameters, gradients, strict=True) if g is None]
    if unused:
        raise _LacksError(f"no logit depends on the parameters {', '.join(unused)}")


def try_criterion(criterion: Any, model: AcousticModel, store: FrameStore) -> None:
    """Try a criterion over frames of the user's own; built-in ones pass unseen.

    Args:
        criterion: an object with the methods of `Criterion`.
        model: the model whose logits it is tried on.
        store: the training data.

    Raises:
        InputError: the criterion has a fault, which the message names.
    """
    if not is_own(criterion):
        return
    if declared(criterion, CriterionNeeds()).targets is not Targets.LABELS:
        return
    name = full_name(type(criterion))
    batch = store.gather(np.arange(1), model.flat.device)
    with torch.no_grad():
        logits, labels = model(model.inputs(batch)), batch.labels
    uniforms = torch.full((len(logits), 2), 0.5, device=logits.device)
    try:
        loss, gradient = criterion.loss_and_gradient(logits, labels)
        at_outputs = {
            "gradient": criterion.gradient(logits, labels),
            "loss_and_gradient": gradient,
            "curvature": criterion.curvature(logits, labels)(torch.ones_like(logits)),
            "sampled_gradient": criterion.sampled_gradient(logits, labels, uniforms),
        }
        total = float(criterion.loss(logits, labels).total)
        per_frame = list(loss.per_frame.shape)
    except Exception as error:  # a class of the user's own may fail in any way
        raise InputError(
            f"criterion._target_: {name} fails on the training data: {type(error).__name__}: "
            f"{error}",
            remedy="--debug shows where it fails",
        ) from error
    wrong = [n for n, t in at_outputs.items() if t.shape != logits.shape or not t.isfinite().all()]
    if wrong or per_frame != [len(logits)] or not np.isfinite(total):
        raise InputError(
            f"criterion._target_: {name}: {', '.join(wrong) or 'loss'} of another shape, or not "
            "finite",
            expected=f"a loss of each frame [{len(logits)}], {list(logits.shape)} at the outputs",
            remedy=_PAGE,
        )


def try_preconditioner(preconditioner: Any) -> None:
    """Check that a checkpoint can hold the state of a preconditioner of the user's own.

    Args:
        preconditioner: the preconditioner before its first use; None where there is none.

    Raises:
        InputError: its state cannot be kept.
    """
    if preconditioner is None or not is_own(preconditioner):
        return
    try:
        state = preconditioner.state_dict()
        json.dumps(state["values"])
        if not all(isinstance(t, Tensor) for t in state["tensors"].values()):
            problem = TypeError("state_dict()['tensors'] holds something else than tensors")
            raise problem
    except Exception as error:  # a class of the user's own may fail in any way
        raise InputError(
            f"preconditioner._target_: {full_name(type(preconditioner))}: its state cannot be "
            f"kept: {type(error).__name__}: {error}",
            expected='state_dict() gives {"tensors": tensors by name, "values": plain values}',
            remedy=_PAGE,
        ) from error


def try_curvature(objective: FrameObjective) -> None:
    """Check that a model of the user's own can be differentiated twice; others pass unseen.

    The derivative of the logits along a direction, which curvature products begin with, is held
    against differences: an operation that can be differentiated once may be left out in silence.

    Args:
        objective: the objective; its model's parameters stay as they are.

    Raises:
        InputError: a second derivative is wrong or cannot be computed.
    """
    model = objective.model
    if not is_own(model):
        return
    inputs = model.inputs(objective.stores[Split.TRAIN].gather(np.arange(1), objective.device))
    theta, generator = model.flat.clone(), torch.Generator().manual_seed(0)
    vector = torch.randn(len(theta), generator=generator).to(theta)
    vector *= theta.norm().clamp_min(1.0) / vector.norm()
    with failures_named(objective):
        along = _derivative(model, inputs, vector)
        with torch.no_grad():
            after, before = (_logits_at(model, inputs, theta + s * vector) for s in (_STEP, -_STEP))
    model.flat.copy_(theta)
    differences = (after - before).double() / (2 * _STEP)
    distance = float((along.double() - differences).norm())
    if not distance <= _APART * float(differences.norm()):
        raise InputError(
            f"model._target_: {full_name(type(model))}: its second derivatives are wrong: some "
            "operation can be differentiated only once",
            expected="operations of torch, or functions of your own that can be differentiated "
            "twice",
            remedy="trainer=sgd or adamw takes gradients alone",
        )


def _derivative(model: AcousticModel, inputs: Any, vector: Tensor) -> Tensor:
    """Return J v of the logits by the parameters, as `KeptDoubleBackward` computes it."""
    parameters = list(model.parameters())
    outputs = model(inputs)
    dual = torch.zeros_like(outputs, requires_grad=True)
    transpose = torch.autograd.grad(outputs, parameters, dual, create_graph=True)
    pieces = torch.split(vector, [p.numel() for p in parameters])
    parts = [piece.view(p.shape) for piece, p in zip(pieces, parameters, strict=True)]
    return torch.autograd.grad(transpose, dual, parts)[0].detach()


def _logits_at(model: AcousticModel, inputs: Any, theta: Tensor) -> Tensor:
    model.flat.copy_(theta)
    logits: Tensor = model(inputs)
    return logits


@contextmanager
def failures_named(objective: FrameObjective) -> Iterator[None]:
    """Name the user's own classes where the first passes through them fail.

    Args:
        objective: the objective that the block computes.

    Yields:
        Nothing.

    Raises:
        InputError: a pass fails, and a class is the user's own.
        AsrHfError: a pass raises one itself.
        OutOfMemoryError: a pass needs more memory than there is.
    """
    parts = (objective.model, objective.criterion)
    names = ", ".join(full_name(type(part)) for part in parts if is_own(part))
    try:
        yield
    except (AsrHfError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # a class of the user's own may fail in any way
        if not names:
            raise
        raise InputError(
            f"{names}: no gradient or curvature product can be computed: {type(error).__name__}: "
            f"{error}",
            expected="operations that can be differentiated twice",
            remedy="--debug shows where it fails; trainer=sgd or adamw takes gradients alone",
        ) from error
