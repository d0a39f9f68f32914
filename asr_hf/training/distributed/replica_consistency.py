"""Keeps the ranks of a run in the same state, and notices when they are not."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from asr_hf.runtime.errors import InputError, RunError
from asr_hf.runtime.process_group import ProcessGroup

Checkpoint = tuple[Path, dict[str, Tensor], dict[str, Any]]
# Bytes of a rank's list of what it has other than rank 0.
_MAX_LIST = 600
_WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_DTYPES = {
    str(dtype): dtype
    for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64)
}


def share_checkpoint(group: ProcessGroup, checkpoint: Checkpoint | None) -> Checkpoint | None:
    """Give every rank the checkpoint that rank 0 has read: the others need not see its folder.

    Args:
        group: the processes.
        checkpoint: rank 0's checkpoint; what other ranks give is not looked at.

    Returns:
        The checkpoint on this rank, or None where rank 0 has none.
    """
    if group.count == 1:
        return checkpoint
    about = None
    if group.first and checkpoint is not None:
        path, tensors, values = checkpoint
        shapes = {name: [str(t.dtype), list(t.shape)] for name, t in tensors.items()}
        about = {"path": str(path), "values": values, "tensors": shapes}
    about = group.broadcast_json(about)
    if about is None:
        return None
    received = {}
    for name, (dtype, shape) in about["tensors"].items():
        tensor = torch.empty(shape, dtype=_DTYPES[dtype])
        if group.first and checkpoint is not None:
            tensor = checkpoint[1][name].contiguous()
        received[name] = group.broadcast_(tensor)
    return Path(about["path"]), received, about["values"]


def check_same_start(group: ProcessGroup, start: dict[str, Any]) -> None:
    """Compare settings, code and digests of data over the ranks, before they begin.

    Args:
        group: the processes that are to train together.
        start: JSON-able values of this rank, by what they are.

    Raises:
        InputError: a rank has other values than rank 0; raised on all ranks.
    """
    first = group.broadcast_json(start)
    here = json.loads(json.dumps(start))
    names = [name for name in sorted({*first, *here}) if first.get(name) != here.get(name)]
    lines = [f"{name}: {_brief(first.get(name))} -> {_brief(here.get(name))}" for name in names]
    text = "\n".join(lines).encode()[:_MAX_LIST].ljust(_MAX_LIST)
    table = group.gather(torch.frombuffer(bytearray(text), dtype=torch.uint8).long())
    differences = [bytes(row.tolist()).decode(errors="replace").rstrip() for row in table]
    if different := [rank for rank, lines in enumerate(differences) if lines]:
        listed = "\n".join(f"    {line}" for line in differences[different[0]].split("\n"))
        raise InputError(
            f"rank {different[0]} would train on something else than rank 0:\n{listed}",
            expected="the same data, settings and code on every rank",
            remedy="give all machines the same corpus (corpus.dir), overrides and version",
        )


def _brief(value: Any) -> str:
    return "(absent)" if value is None else str(value)[:40]


def check_in_step(group: ProcessGroup, iteration: int, state: dict[str, dict[str, Any]]) -> None:
    """Compare checksums of an optimiser's state over the ranks.

    Args:
        group: the processes, whose states should be the same, bit for bit.
        iteration: number of the iteration, for the message.
        state: {"tensors": ..., "values": ...} of this rank; values are JSON.

    Raises:
        RunError: they differ.
    """
    table = group.gather(torch.tensor(checksums(state)))
    different = (table != table[0]).any(dim=1).nonzero().flatten().tolist()
    if not different:
        return
    names = ", ".join(f"rank {rank}" for rank in different)
    what = "parameters" if bool((table[:, 0] != table[0, 0]).any()) else "optimiser's state"
    raise RunError(
        f"iteration {iteration}: {names} and rank 0 no longer hold the same {what}",
        expected="the same bits on every rank",
        remedy="give all ranks processors of one kind, the same libraries and number of threads; "
        "the same command goes back to the newest checkpoint",
    )


def checksums(state: dict[str, dict[str, Any]]) -> list[int]:
    """Return checksums of θ and of the whole state; each changes when a bit does."""
    sums = {name: _bits(tensor) for name, tensor in state["tensors"].items()}
    text = json.dumps([sums, state["values"]], sort_keys=True)
    return [sums["theta"], zlib.crc32(text.encode())]


def _bits(tensor: Tensor) -> int:
    """Return the sum of a tensor's words, whatever they mean."""
    words = tensor.detach().contiguous().view(_WORDS[tensor.element_size()])
    return int(words.sum(dtype=torch.int64))
