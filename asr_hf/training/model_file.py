"""The trained model on disk: one safetensors file that carries its kind and settings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from asr_hf.models.acoustic import AcousticModel
from asr_hf.models.registry import KINDS, build, class_named, kind_of, target_of
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import atomic_path
from asr_hf.training.model_header import FORMAT, check_header, with_checksum

FILE_NAME = "model.safetensors"
_KEY = "asr-hf"
_MISSING = "asr-hf train makes it; or name a run folder that holds a finished one"
_REMEDY = "train the model again, or name a run folder that holds a finished one"


def build_model(
    config: Mapping[str, Any], feature_dim: int, num_pdfs: int, seed: int
) -> AcousticModel:
    """Make a model from the config group of this command, with freshly initialised parameters.

    Args:
        config: plain values of the group `model`, with `_target_`.
        feature_dim: number of features of a frame.
        num_pdfs: number of pdfs.
        seed: seed of the initial parameters.

    Returns:
        The model.

    Raises:
        InputError: there is no such class, or a setting does not fit it.
    """
    target, settings = _group(config)
    try:
        return build(class_named(target), settings, feature_dim, num_pdfs, seed)
    except ValueError as error:
        raise InputError(
            f"model.{error}", remedy="asr-hf config with the same overrides prints it"
        ) from error


def save_model(
    path: Path, model: AcousticModel, config: Mapping[str, Any], about: dict[str, Any]
) -> None:
    """Write the model's parameters, buffers, kind and settings.

    Args:
        path: the file.
        model: what to write.
        config: plain values of its config group, from which `load_model` builds it again.
        about: JSON-able facts kept with it (features, alignment, training).
    """
    tensors = {n: t.detach().cpu().contiguous() for n, t in model.state_tensors().items()}
    facts = about | {"feature_dim": model.feature_dim, "num_pdfs": model.num_pdfs}
    target, settings = _group(config)
    # One key, because safetensors writes several in no fixed order.
    header = {"format": FORMAT, "kind": kind_of(target), "settings": settings, "about": facts}
    header = with_checksum(header, tensors)
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {_KEY: json.dumps(header)})


def load_model(path: Path, named: str | None = None) -> tuple[AcousticModel, dict[str, Any]]:
    """Read a model written by `save_model`.

    Args:
        path: the file.
        named: full name of the class that this command names as model._target_. A model of a
            class that is not built in is loaded only where it is that one.

    Returns:
        The model on the CPU, and the facts kept with it.

    Raises:
        InputError: the file is missing, damaged or of another format, or the class of its model
            is not known to this command.
    """
    header, tensors = _read(path)
    kind = _class_of(path, header["kind"], named)
    about = header["about"]
    try:
        model = build(kind, header["settings"], about["feature_dim"], about["num_pdfs"], seed=0)
        model.load_state_tensors(tensors)
    except ValueError as error:
        raise InputError(f"{path}: {error}", remedy=_REMEDY) from error
    return model, about


def model_config(path: Path, named: str | None = None) -> dict[str, Any]:
    """The config group that the model in `path` was built from.

    Args:
        path: the file.
        named: full name of the class that this command names, as for `load_model`.

    Returns:
        Plain values of the group, with `_target_`.

    Returns:
        The class as _target_, and its settings.

    Raises:
        InputError: in the cases of `load_model`.
    """
    header, _ = _read(path)
    _class_of(path, header["kind"], named)
    return {"_target_": target_of(header["kind"]), **header["settings"]}


def _group(config: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """The class that a config group names, and its settings."""
    settings = dict(config)
    return str(settings.pop("_target_", None)), settings


def _class_of(path: Path, kind: str, named: str | None) -> type[AcousticModel]:
    """The class of a kind: built in, or the one that this command names."""
    if kind in KINDS:
        return KINDS[kind]
    if named == kind:
        return class_named(kind)
    raise InputError(
        f"{path}: a model of the class {kind}, which this command does not name",
        expected=f"a model of asr-hf's own ({', '.join(KINDS)}), or of the class in model._target_"
        + (f", which is {named}" if named else ""),
        remedy=f"if you trust that class, add model._target_={kind} to the command, or the "
        "--config-dir DIR model=OPTION that the run was trained with",
    )


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the header and the tensors."""
    try:
        with safe_open(path, framework="pt") as opened:
            header = json.loads((opened.metadata() or {}).get(_KEY, "{}"))
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        check_header(header, tensors)
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no trained model", remedy=_MISSING) from error
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged model file: {error}", remedy=_REMEDY) from error
    return header, tensors
