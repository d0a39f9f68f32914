"""The kinds of models, and how one is built.

A file of a run names a kind; the class is looked up here. A class of the user's own is imported
only by `class_named`, from the name that the configuration of the command gives it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asr_hf.models.acoustic import AcousticModel
from asr_hf.models.dnn import DNN
from asr_hf.models.settings import GIVEN, check_settings
from asr_hf.models.tdnn import TDNN
from asr_hf.models.tdnnf import TDNNF
from asr_hf.runtime.errors import AsrHfError, InputError
from asr_hf.runtime.own_code import find_class, parameters_of

KINDS: dict[str, type[AcousticModel]] = {"dnn": DNN, "tdnn": TDNN, "tdnnf": TDNNF}
_KEY = "model._target_"
_METHODS = ("inputs", "forward", "start_at_priors")


def full_name(kind: type) -> str:
    """Return the name that a configuration gives a class."""
    return f"{kind.__module__}.{kind.__qualname__}"


def kind_of(target: str) -> str:
    """Return the kind of the class of this full name, or the name where it is not built in."""
    return next((kind for kind, made in KINDS.items() if full_name(made) == target), target)


def target_of(kind: str) -> str:
    """Return the full name of the class of a kind."""
    return full_name(KINDS[kind]) if kind in KINDS else kind


def class_named(target: str) -> type[AcousticModel]:
    """Find the class that the configuration of this command names as model._target_.

    Args:
        target: full name of the class.

    Returns:
        The class.

    Raises:
        InputError: there is no such class, or it is no acoustic model.
    """
    if (kind := kind_of(target)) in KINDS:
        return KINDS[kind]
    model = find_class(target, _KEY)
    if not issubclass(model, AcousticModel):
        raise InputError(
            f"{_KEY}: {target} is no acoustic model",
            expected="a class derived from asr_hf.models.acoustic.AcousticModel",
        )
    lacking = [name for name in _METHODS if hasattr(getattr(model, name), "__isabstractmethod__")]
    if lacking:
        raise InputError(
            f"{_KEY}: {target} has no method {', '.join(lacking)}",
            expected=f"methods {', '.join(_METHODS)}",
        )
    if missing := [name for name in GIVEN if name not in parameters_of(model)]:
        raise InputError(
            f"{_KEY}: {target} does not take {', '.join(missing)}",
            expected=f"keyword parameters {', '.join(GIVEN)}, which every model is given",
        )
    return model


def build(
    kind: type[AcousticModel],
    settings: Mapping[str, Any],
    feature_dim: int,
    num_pdfs: int,
    seed: int,
) -> AcousticModel:
    """Make a model with fresh parameters.

    Args:
        kind: class of the model.
        settings: arguments of the class beside the following, as plain values.
        feature_dim: number of features of one frame.
        num_pdfs: number of outputs.
        seed: seed of the initial weights.

    Returns:
        The model on the CPU.

    Raises:
        ValueError: a setting does not fit; the message begins with its name.
        InputError: the class refuses its settings.
        AsrHfError: the class raises one itself.
    """
    check_settings(kind, settings)
    given = {"feature_dim": feature_dim, "num_pdfs": num_pdfs, "seed": seed}
    if kind in KINDS.values():
        return kind(**settings, **given)
    try:
        return kind(**settings, **given)
    except AsrHfError:
        raise
    except Exception as error:  # a class of the user's own may fail in any way
        raise InputError(
            f"{full_name(kind)}: cannot be made: {type(error).__name__}: {error}",
            remedy="--debug shows where it fails",
        ) from error
