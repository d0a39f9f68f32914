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
# Bytes of what a rank says that it has other than rank 0.
_MAX_SAID = 600
_WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
_DTYPES = {
    str(dtype): dtype
    for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int64)
}


def share_checkpoint(ranks: ProcessGroup, found: Checkpoint | None) -> Checkpoint | None:
    """The checkpoint that rank 0 has read, on every rank: the others need not see its folder.

    Args:
        ranks: who shares.
        found: rank 0's; what others give is not looked at.
    """
    if ranks.count == 1:
        return found
    about = None
    if ranks.first and found is not None:
        path, tensors, values = found
        shapes = {name: [str(t.dtype), list(t.shape)] for name, t in tensors.items()}
        about = {"path": str(path), "values": values, "tensors": shapes}
    about = ranks.broadcast_json(about)
    if about is None:
        return None
    received = {}
    for name, (dtype, shape) in about["tensors"].items():
        own = torch.empty(shape, dtype=_DTYPES[dtype])
        if ranks.first and found is not None:
            own = found[1][name].contiguous()
        received[name] = ranks.broadcast_(own)
    return Path(about["path"]), received, about["values"]


def check_same_start(ranks: ProcessGroup, mine: dict[str, Any]) -> None:
    """Compare settings, code and digests of data over the ranks, before they begin.

    Args:
        ranks: who are to train together.
        mine: JSON-able values of this rank, by what they are.

    Raises:
        InputError: a rank has others than rank 0; on all ranks.
    """
    theirs = ranks.broadcast_json(mine)
    own = json.loads(json.dumps(mine))
    names = [name for name in sorted({*theirs, *own}) if theirs.get(name) != own.get(name)]
    lines = [f"{name}: {_brief(theirs.get(name))} -> {_brief(own.get(name))}" for name in names]
    text = "\n".join(lines).encode()[:_MAX_SAID].ljust(_MAX_SAID)
    table = ranks.gather(torch.frombuffer(bytearray(text), dtype=torch.uint8).long())
    said = [bytes(row.tolist()).decode(errors="replace").rstrip() for row in table]
    if different := [rank for rank, lines in enumerate(said) if lines]:
        listed = "\n".join(f"    {line}" for line in said[different[0]].split("\n"))
        raise InputError(
            f"rank {different[0]} would train on something else than rank 0:\n{listed}",
            expected="the same data, settings and code on every rank",
            remedy="give all machines the same corpus (corpus.dir), overrides and version",
        )


def _brief(value: Any) -> str:
    return "(absent)" if value is None else str(value)[:40]


def check_in_step(ranks: ProcessGroup, iteration: int, state: dict[str, dict[str, Any]]) -> None:
    """Compare checksums of an optimiser's state over the ranks.

    Args:
        ranks: whose states should be the same, bit for bit.
        iteration: for the message.
        state: {"tensors": ..., "values": ...} of this rank; values are JSON.

    Raises:
        RunError: they differ.
    """
    table = ranks.gather(torch.tensor(checksums(state)))
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
    """Of θ, and of everything: each changes when a bit does."""
    sums = {name: _bits(tensor) for name, tensor in state["tensors"].items()}
    text = json.dumps([sums, state["values"]], sort_keys=True)
    return [sums["theta"], zlib.crc32(text.encode())]


def _bits(tensor: Tensor) -> int:
    """The sum of a tensor's words, without looking at what they mean."""
    words = tensor.detach().contiguous().view(_WORDS[tensor.element_size()])
    return int(words.sum(dtype=torch.int64))
