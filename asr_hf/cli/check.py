"""Checks of a composed configuration before any work starts."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from asr_hf.models.settings import GIVEN, check_plain
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.own_code import find_class, parameters_of

CHOICES = {
    "adapt.states": ("same", "new"),
    "features.cmvn": ("utterance", "speaker", "online", "none"),
    "features.window": ("hamming", "hanning", "povey", "blackman", "rectangular"),
    "features.dtype": ("float16", "float32"),
    "priors": ("alignment", "posteriors"),
    "precision": ("fp32", "tf32", "bf16"),
    "runtime.curvature_path": ("auto", "r_operator", "double_backward"),
}
_PROTOCOLS = {
    "augment": "data.frame_batch.Augmentation",
    "criterion": "criteria.base.Criterion",
    "preconditioner": "hf.preconditioners.base.Preconditioner",
}
_METHODS = {
    "augment": ("hidden",),
    "criterion": ("loss", "gradient", "loss_and_gradient", "curvature", "sampled_gradient"),
    "preconditioner": (
        *("memory", "prepare", "apply", "observe", "finish"),
        *("state_dict", "load_state_dict"),
    ),
}
_HYDRA_KEYS = ("_target_", "_partial_", "_recursive_", "_convert_", "_args_")


def check_choices(config: DictConfig) -> None:
    """Check the settings that take one of a few words.

    Raises:
        InputError: a setting has another value.
    """
    for key, allowed in CHOICES.items():
        value = OmegaConf.select(config, key)
        if value not in allowed:
            near = difflib.get_close_matches(str(value), allowed, n=1)
            raise InputError(
                f"{key}={value}: there is no such choice",
                expected=f"one of {', '.join(allowed)}",
                remedy=f"did you mean {key}={near[0]}?" if near else "",
            )


def check_targets(config: DictConfig) -> None:
    """Check that every class in a configuration exists and fits its settings and its group.

    The classes belong to asr-hf or to a package of the user's own.

    Raises:
        InputError: a class does not exist or does not fit, or one of its settings is missing or
            unknown.
    """
    # Late, so that help and errors in overrides do not wait for torch.
    from asr_hf.models.registry import class_named

    for place, node in _described(config):
        name = str(node["_target_"])
        target = find_class(name, f"{place}._target_")
        if place == "model":
            class_named(name)
            if config.get("init_from") is not None:
                # The settings of that run's model take the place of these.
                continue
        _check_methods(place, name, target)
        _check_needs(place, target)
        parameters = parameters_of(target)
        for key in map(str, node):
            if key in parameters or key in _HYDRA_KEYS:
                continue
            near = difflib.get_close_matches(key, parameters, n=1)
            raise InputError(
                f"{place}.{key}: {name.rpartition('.')[2]} has no such setting",
                expected=f"one of {', '.join(parameters)}",
                remedy=f"did you mean {place}.{near[0]}?"
                if near
                else f"leave {place}.{key} out, or choose the option of {place} that has it",
            )
        if not node.get("_partial_"):
            _check_complete(place, name, node, parameters)
    if config.get("init_from") is None:
        _check_model(config)


def _check_methods(place: str, name: str, target: type[Any]) -> None:
    """Check that a class has the methods that users of its group call."""
    lacking = [m for m in _METHODS.get(place, ()) if not hasattr(target, m)]
    if lacking:
        raise InputError(
            f"{place}._target_: {name} has no {', '.join(lacking)}",
            expected=f"what asr_hf.{_PROTOCOLS[place]} describes",
            remedy="docs/your-classes.md has an example",
        )


def _check_needs(place: str, target: type[Any]) -> None:
    """Check that the needs which a class declares, if any, are of the type for its group."""
    # Late, as above.
    from asr_hf.criteria.needs import CriterionNeeds
    from asr_hf.hf.needs import OptimiserNeeds
    from asr_hf.runtime.declared import declared

    if place == "criterion":
        declared(target, CriterionNeeds())
    elif place == "trainer":
        declared(target, OptimiserNeeds())


def _check_complete(
    place: str, name: str, node: DictConfig, parameters: dict[str, inspect.Parameter]
) -> None:
    """Check that every parameter without a default is given."""
    given = GIVEN if place == "model" else ()
    for key, parameter in parameters.items():
        if parameter.default is parameter.empty and key not in node and key not in given:
            raise InputError(
                f"{place}.{key}: {name.rpartition('.')[2]} needs it, and it is not given",
                expected=f"{place}.{key}=VALUE",
            )


def _check_model(config: DictConfig) -> None:
    """Check that the settings of a model are plain values.

    They are written to the model's file and read from there without trust.

    Raises:
        InputError: a setting is not a plain value.
    """
    settings: Any = OmegaConf.to_container(config.model, resolve=True)
    for key, value in settings.items():
        if key != "_target_":
            try:
                check_plain(value, key)
            except ValueError as error:
                raise InputError(
                    f"model.{error}",
                    expected="text, numbers, true, false, null, and lists and groups of these",
                    remedy="let the class make what it needs from them",
                ) from error


def _described(config: DictConfig, place: str = "") -> Iterator[tuple[str, DictConfig]]:
    """Yield every node that describes an object, after its dotted key."""
    if "_target_" in config:
        yield place, config
    for key in map(str, config):
        if OmegaConf.is_interpolation(config, key):
            continue
        node = config[key]
        if isinstance(node, DictConfig):
            yield from _described(node, f"{place}.{key}" if place else key)
