"""The trained model on disk: one safetensors file that carries its own configuration."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from asr_hf.models.acoustic import AcousticModel
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import atomic_path
from asr_hf.training.model_header import FORMAT, check_header, with_checksum

FILE_NAME = "model.safetensors"
_KEY = "asr-hf"
_REMEDY = "train the model again, or name a run folder that holds a finished one"


def build_model(config: Any, feature_dim: int, num_pdfs: int, seed: int) -> AcousticModel:
    """Make a model from its config group, with freshly initialised parameters."""
    model = instantiate(config, feature_dim=feature_dim, num_pdfs=num_pdfs, seed=seed)
    assert isinstance(model, AcousticModel)
    return model


def save_model(path: Path, model: AcousticModel, config: Any, about: dict[str, Any]) -> None:
    """Write the model's parameters, buffers and configuration.

    Args:
        path: the file.
        model: what to write.
        config: its config group, from which `load_model` builds it again.
        about: JSON-able facts kept with it (features, alignment, training).
    """
    tensors = {n: t.detach().cpu().contiguous() for n, t in model.state_tensors().items()}
    facts = about | {"feature_dim": model.feature_dim, "num_pdfs": model.num_pdfs}
    # One key, because safetensors writes several in no fixed order.
    header = {
        "format": FORMAT,
        "config": OmegaConf.to_container(config, resolve=True),
        "about": facts,
    }
    header = with_checksum(header, tensors)
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, {_KEY: json.dumps(header)})


def load_model(path: Path) -> tuple[AcousticModel, dict[str, Any]]:
    """Read a model written by `save_model`.

    Returns:
        The model on the CPU, and the facts kept with it.

    Raises:
        InputError: the file is missing, damaged or of another format.
    """
    header, tensors = _read(path)
    about = header["about"]
    config = OmegaConf.create(header["config"])
    try:
        model = build_model(config, about["feature_dim"], about["num_pdfs"], seed=0)
        model.load_state_tensors(tensors)
    except (InstantiationException, ValueError) as error:
        raise InputError(f"{path}: {error}", remedy=_REMEDY) from error
    return model, about


def model_config(path: Path) -> dict[str, Any]:
    """The config group that the model in `path` was built from.

    Raises:
        InputError: the file is missing, damaged or of another format.
    """
    return dict(_read(path)[0]["config"])


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The header and the tensors."""
    try:
        with safe_open(path, framework="pt") as opened:
            header = json.loads((opened.metadata() or {}).get(_KEY, "{}"))
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        check_header(header, tensors)
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no trained model", remedy=_REMEDY) from error
    except (OSError, SafetensorError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: damaged model file: {error}", remedy=_REMEDY) from error
    return header, tensors
