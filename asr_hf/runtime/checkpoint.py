"""Checkpoints: tensors and plain values in one safetensors file with its checksum."""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from torch import Tensor

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import atomic_path

log = logging.getLogger(__name__)

_NAME = re.compile(r"(step|best)-(\d{6})\.ckpt")
_VALUES = "values as json"
_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.bfloat16: "BF16",
    torch.float16: "F16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_DIGEST = hashlib.sha256().digest_size


def save_checkpoint(
    folder: Path,
    step: int,
    tensors: dict[str, Tensor],
    values: dict[str, Any],
    *,
    keep_last: int,
    best: bool,
) -> Path:
    """Write a checkpoint and remove the ones that are no longer needed.

    Args:
        folder: folder of the checkpoints.
        step: number of iterations done.
        tensors: tensors that the next iteration depends on, on any device.
        values: JSON-able values that it depends on (NaN and infinities allowed).
        keep_last: number of checkpoints that stay, the newest ones.
        best: whether this checkpoint holds the best model so far; the newest such one stays too.

    Returns:
        The path of the checkpoint.
    """
    text = json.dumps(values).encode()
    packed = {**tensors, _VALUES: torch.frombuffer(bytearray(text), dtype=torch.uint8)}
    path = folder / f"{'best' if best else 'step'}-{step:06d}.ckpt"
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(bytes(_DIGEST))
        digest = hashlib.sha256()
        for piece in _pieces(packed):
            digest.update(piece)
            file.write(piece)
        file.seek(0)
        file.write(digest.digest())
    _prune(folder, keep_last)
    return path


def _pieces(tensors: dict[str, Tensor]) -> Iterator[bytes | memoryview]:
    """Yield a safetensors file in pieces; safetensors' own writer holds everything twice."""
    header: dict[str, Any] = {}
    start = 0
    for name, tensor in tensors.items():
        stop = start + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, stop],
        }
        start = stop
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little")
    yield text
    for tensor in tensors.values():
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        yield flat.view(torch.uint8).numpy().data


def _prune(folder: Path, keep_last: int) -> None:
    paths = checkpoints(folder)
    best = [p for p in paths if p.name.startswith("best")]
    kept = {*paths[-keep_last:], *best[-1:]}
    for path in paths:
        if path not in kept:
            path.unlink()


def checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in `folder`, oldest first."""
    named = [(m, p) for p in folder.glob("*.ckpt") if (m := _NAME.fullmatch(p.name))]
    return [p for _, p in sorted(named, key=lambda item: int(item[0].group(2)))]


@contextmanager
def all_there(path: Path) -> Iterator[None]:
    """Say of a checkpoint that something is missing in it, where the block does not find it.

    Args:
        path: the checkpoint whose content the block takes.

    Raises:
        InputError: the block raised a KeyError.
    """
    try:
        yield
    except KeyError as error:
        raise InputError(
            f"{path}: has no {error}",
            expected="a checkpoint of this version of asr-hf",
            remedy="continue the run with the version that began it, or train under another name "
            "(name=...)",
        ) from error


def latest_checkpoint(folder: Path) -> tuple[Path, dict[str, Tensor], dict[str, Any]] | None:
    """Return the newest whole checkpoint, with its tensors and values; None where there is none.

    A damaged checkpoint is skipped, with a warning, and the one before is tried.

    Raises:
        InputError: there are checkpoints, but all are damaged.
    """
    paths = checkpoints(folder)
    for path in reversed(paths):
        try:
            return (path, *load_checkpoint(path))
        except InputError as error:
            log.warning("%s; trying the one before", error.problem)
    if paths:
        raise InputError(
            f"{folder}: every checkpoint is damaged",
            remedy="start again in another folder (name=...), or remove this one",
        )
    return None


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the tensors and the values of a checkpoint.

    Raises:
        InputError: the file cannot be read, or its checksum is wrong.
    """
    try:
        with open(path, "rb") as file:
            digest, body = file.read(_DIGEST), file.read()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    if hashlib.sha256(body).digest() != digest:
        raise InputError(f"{path}: damaged checkpoint: its checksum is wrong")
    try:
        tensors = load_tensors(body)
        values = json.loads(tensors.pop(_VALUES).numpy().tobytes())
    except (SafetensorError, KeyError, ValueError) as error:
        raise InputError(f"{path}: not a checkpoint of asr-hf: {error}") from error
    return tensors, values
