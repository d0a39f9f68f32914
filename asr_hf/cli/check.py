"""Checks of a composed configuration before any work starts."""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf

from asr_hf.runtime.errors import InputError

CHOICES = {
    "features.cmvn": ("utterance", "speaker", "none"),
    "features.window": ("hamming", "hanning", "povey", "blackman", "rectangular"),
    "features.dtype": ("float16", "float32"),
    "priors": ("alignment", "posteriors"),
    "precision": ("fp32", "tf32", "bf16"),
    "runtime.curvature_path": ("auto", "r_operator", "double_backward"),
}
_OF_HYDRA = ("_target_", "_partial_", "_recursive_", "_convert_", "_args_")


def check_choices(config: DictConfig) -> None:
    """Check the settings that take one of a few words.

    Raises:
        InputError: one of them is another word.
    """
    for key, allowed in CHOICES.items():
        found = OmegaConf.select(config, key)
        if found not in allowed:
            near = difflib.get_close_matches(str(found), allowed, n=1)
            raise InputError(
                f"{key}={found}: there is no such choice",
                expected=f"one of {', '.join(allowed)}",
                remedy=f"did you mean {key}={near[0]}?" if near else "",
            )


def check_targets(config: DictConfig) -> None:
    """Check that every class named exists and has the settings it is given.

    Raises:
        InputError: it does not.
    """
    for place, node in _described(config):
        name = str(node["_target_"])
        module, _, noun = name.rpartition(".")
        try:
            parameters = _settings(getattr(importlib.import_module(module), noun))
        except (ImportError, AttributeError, ValueError) as error:
            raise InputError(
                f"{place}._target_: {name} cannot be imported: {error}",
                expected="the full name of a class, e.g. asr_hf.models.dnn.DNN",
            ) from error
        for key in map(str, node):
            if key in parameters or key in _OF_HYDRA:
                continue
            near = difflib.get_close_matches(key, parameters, n=1)
            raise InputError(
                f"{place}.{key}: {name.rpartition('.')[2]} has no such setting",
                expected=f"one of {', '.join(parameters)}",
                remedy=f"did you mean {place}.{near[0]}?"
                if near
                else f"leave {place}.{key} out, or choose the option of {place} that has it",
            )


def _settings(target: Any) -> dict[str, inspect.Parameter]:
    """What `target` can be given, by keyword; **keywords go on to its base classes."""
    classes = inspect.getmro(target) if inspect.isclass(target) else [target]
    found: dict[str, inspect.Parameter] = {}
    for one in classes:
        own = inspect.signature(one).parameters
        found |= {k: p for k, p in own.items() if p.kind is not p.VAR_KEYWORD}
        if not any(p.kind is p.VAR_KEYWORD for p in own.values()):
            break
    return found


def _described(config: DictConfig, place: str = "") -> Iterator[tuple[str, DictConfig]]:
    """Every node that describes an object, with its dotted place."""
    if "_target_" in config:
        yield place, config
    for key in map(str, config):
        if OmegaConf.is_interpolation(config, key):
            continue
        node = config[key]
        if isinstance(node, DictConfig):
            yield from _described(node, f"{place}.{key}" if place else key)
