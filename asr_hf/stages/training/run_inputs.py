"""Identifies what a run is made from, by digests that it keeps and that its processes compare."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import asr_hf
from asr_hf.criteria.needs import Targets
from asr_hf.data.lattice_store import LatticeStore
from asr_hf.data.store import FrameStore
from asr_hf.data.transcript_store import HEADER, TranscriptStore
from asr_hf.hf.objective import Split
from asr_hf.models.acoustic import AcousticModel
from asr_hf.runtime.provenance import digest, file_digest
from asr_hf.runtime.run_folder import flattened
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.expected import require
from asr_hf.stages.training.declared import criterion_needs
from asr_hf.stages.training.old_fisher import fisher_origin
from asr_hf.stages.training.target_folders import TARGET_FOLDERS
from asr_hf.training.model_file import FILE_NAME

_NAMES = {Split.TRAIN: "training", Split.HELDOUT: "held-out"}
# What rounding may change in statistics that two machines compute.
_TOLERANCE = 1e-4


def inputs_of(settings: Settings, stores: Mapping[Split, FrameStore]) -> dict[str, str]:
    """Compute the digests of all files that training depends on.

    Args:
        settings: settings of the command.
        stores: frame store of each part of the data.

    Returns:
        The SHA-256 of each file, by a description of it.

    Raises:
        InputError: lattices are damaged or do not belong to the labels, or a file is missing, as
            the Fisher matrix that a pull asks for.
    """
    digests: dict[str, str] = {}
    for split, store in stores.items():
        digests |= _named(_NAMES[split], store.digests())
    digests |= _of_targets(settings, criterion_needs(settings.criterion).targets)
    if settings.init_from is not None:
        digests["starting model"] = file_digest(settings.init_from / FILE_NAME)
    return digests | fisher_origin(settings)


def _of_targets(settings: Settings, targets: Targets) -> dict[str, str]:
    """Return the digests of the lattices or numerators that a criterion needs, and its graph's."""
    found: dict[str, str] = {}
    folders = TARGET_FOLDERS.get(targets)
    if folders is None:
        return found
    remedy = f"{folders.verb} with the same overrides"
    for split in Split:
        folder = folders.of(settings, split)
        if folder.is_dir():
            require(folder, remedy)
            kind = TranscriptStore if (folder / HEADER).is_file() else LatticeStore
            found |= _named(f"{_NAMES[split]} {folders.what}:", kind.open(folder).digests())
    if targets is Targets.NUMERATORS:
        folder = Path(str(settings.criterion.get("denominator")))
        require(folder, remedy)
        arrays = {path.name: file_digest(path) for path in sorted(folder.glob("*.npy"))}
        found |= _named("denominator", arrays)
    return found


def _named(name: str, digests: Mapping[str, str]) -> dict[str, str]:
    return {f"{name} {file}": sha for file, sha in digests.items()}


def statistics_of(model: AcousticModel) -> dict[str, list[float]]:
    """Return what a model has from its training data: input statistics and priors."""
    named = {
        "input mean": model.input_mean,
        "input scale": model.input_scale,
        "log priors": model.log_priors,
    }
    return {name: tensor.detach().cpu().double().tolist() for name, tensor in named.items()}


def changed_inputs(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Return in what the inputs of two parts of a run differ, a line each."""
    lines = []
    for name in sorted({*before, *now}):
        old, new = before.get(name), now.get(name)
        if isinstance(old, list) and isinstance(new, list):
            if len(old) != len(new) or not all(map(_near, old, new)):
                lines.append(f"{name}: other values")
        elif old != new:
            lines.append(f"{name}: {_short(old)} -> {_short(new)}")
    return lines


def _near(old: float, new: float) -> bool:
    return math.isclose(old, new, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)


def _short(value: Any) -> str:
    return "(absent)" if value is None else str(value)[:12]


def start_of_rank(settings: Settings, inputs: Mapping[str, str]) -> dict[str, Any]:
    """Return what must be the same in all processes before training begins."""
    code = {"code": _code(), "torch": torch.__version__}
    return code | flattened(settings.tree) | dict(inputs)


def _code() -> str:
    """Return a digest of this program."""
    root = Path(asr_hf.__file__).resolve().parent
    files = sorted(root.rglob("*.py"))
    return digest([[str(path.relative_to(root)), file_digest(path)] for path in files])
