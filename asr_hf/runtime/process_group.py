"""The ranks of one run, which add up what each computes on its share of the data.

torch.distributed does the work, by gloo between CPUs and by NCCL where each rank has its own GPU.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.failures import FailureBoard, LostRank

log = logging.getLogger(__name__)

# Environment variable with the address where ranks meet; torchrun's variables count without it.
RENDEZVOUS = "ASR_HF_RENDEZVOUS"


@dataclass
class ProcessGroup:
    """This process as one of the ranks of its run; a single rank sends nothing.

    All ranks must call the same methods in the same order. A sum is the same on all ranks, bit for
    bit.

    Args:
        rank: number of this rank, from 0.
        count: number of ranks.
        local_rank: number of this rank on its machine, from 0.
        local_count: number of ranks on this machine.
        board: where failures are reported; None in a process that was not launched as a rank.
        store: torch.distributed's store, where ranks meet.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1
    board: FailureBoard | None = None
    store: Any = field(default=None, repr=False)

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes files and talks to the user."""
        return self.rank == 0

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Report a failure of the block by one message of all ranks; see `FailureBoard`."""
        with nullcontext() if self.board is None else self.board.reporting():
            yield

    def device(self, requested: torch.device) -> torch.device:
        """Return the device of this rank: the GPUs are dealt out, unless `requested` names one."""
        if requested.type != "cuda" or self.count == 1:
            return requested
        number = requested.index
        if number is None:
            number = self.local_rank % torch.cuda.device_count()
        torch.cuda.set_device(number)
        return torch.device("cuda", number)

    def connect(self, device: torch.device, timeout: float) -> None:
        """Meet the other ranks.

        Args:
            device: device of the tensors that will be summed.
            timeout: seconds that a rank waits for the others before it gives up the run.

        Raises:
            LostRank: a rank did not come in time.
        """
        if self.count == 1:
            return
        own_gpus = device.type == "cuda" and torch.cuda.device_count() >= self.local_count
        backend = "cpu:gloo,cuda:nccl" if own_gpus else "gloo"
        with self._answered("meet"):
            dist.init_process_group(
                backend,
                store=self.store,
                rank=self.rank,
                world_size=self.count,
                timeout=timedelta(seconds=timeout),
            )
        log.info("%d processes, by %s", self.count, backend)

    def close(self) -> None:
        """Leave the group of ranks."""
        if self.count > 1 and dist.is_initialized():
            dist.destroy_process_group()

    def all_reduce(self, tensor: Tensor) -> Tensor:
        """Replace a tensor by its sum over all ranks, and return it."""
        if self.count > 1:
            with self._answered("sum"):
                dist.all_reduce(tensor)
        return tensor

    def reduce_scatter(self, whole: Tensor, out: Tensor) -> Tensor:
        """Sum vectors [count k] over all ranks; return this rank's part [k] of the sum as `out`."""
        with self._answered("sum of parts"):
            dist.reduce_scatter_tensor(out, whole)
        return out

    def all_gather(self, part: Tensor) -> Tensor:
        """Return the parts [k] of all ranks, one after another: [count k]."""
        parts = part.new_empty(self.count * len(part))
        with self._answered("parts"):
            dist.all_gather_into_tensor(parts, part)
        return parts

    def broadcast_(self, tensor: Tensor) -> Tensor:
        """Replace a tensor by the one of rank 0, and return it."""
        if self.count > 1:
            with self._answered("broadcast"):
                dist.broadcast(tensor, src=0)
        return tensor

    def broadcast_json(self, value: Any) -> Any:
        """Return the JSON-able value of rank 0, whatever this rank's value is."""
        if self.count == 1:
            return value
        text = json.dumps(value).encode() if self.first else b""
        length = int(self.broadcast_(torch.tensor(len(text))))
        buffer = torch.frombuffer(bytearray(text.ljust(length)), dtype=torch.uint8)
        return json.loads(self.broadcast_(buffer).numpy().tobytes())

    def gather(self, values: Tensor) -> Tensor:
        """Return the int64 values [k] of every rank: [count, k], on the CPU."""
        table = torch.zeros(self.count, len(values), dtype=torch.int64)
        table[self.rank] = values
        return self.all_reduce(table)

    def any(self, flag: bool) -> bool:
        """Return whether the flag is true on any rank."""
        return self.any_of(flag)[0]

    def any_of(self, *flags: bool) -> list[bool]:
        """Return for each of several flags whether it is true on any rank; sends one message."""
        return [
            bool(n) for n in self.all_reduce(torch.tensor([int(flag) for flag in flags])).tolist()
        ]

    @contextmanager
    def _answered(self, what: str) -> Iterator[None]:
        """Turn an error of torch.distributed into one that names the ranks that do not answer."""
        try:
            yield
        except RuntimeError as error:
            raise self._lost(what, str(error)) from error

    def _lost(self, what: str, reason: str) -> LostRank:
        try:
            silent = self.board.silent() if self.board else []
        except RuntimeError:
            silent = []
        names = ", ".join(f"rank {rank}" for rank in silent) or "another rank"
        return LostRank(
            f"{names} did not answer ({what}): {reason.splitlines()[0]}",
            remedy="see whether it was killed, for want of memory perhaps, or hangs; the same "
            "command continues",
        )


SINGLE_PROCESS = ProcessGroup()


def store_at(address: str, rank: int, count: int) -> Any:
    """Return the store where ranks meet, and where their launcher reads what they reported.

    Args:
        address: URL that torch.distributed's rendezvous understands.
        rank: number of the rank that asks.
        count: number of ranks.
    """
    store, *_ = next(iter(rendezvous(address, rank, count)))
    # torchrun keeps its store when it restarts ranks, with the addresses of the dead ones.
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    return dist.PrefixStore(f"attempt-{attempt}", store)  # type: ignore[attr-defined]


def process_group_from_environment() -> ProcessGroup:
    """Return the process group that the environment variables of torchrun describe.

    Raises:
        InputError: a variable is missing or makes no sense.
    """
    try:
        rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        local_rank = int(os.environ.get("LOCAL_RANK", rank))
        local_count = int(os.environ.get("LOCAL_WORLD_SIZE", count))
        address = os.environ.get(RENDEZVOUS, "env://")
        store = store_at(address, rank, count)
    except (KeyError, ValueError, RuntimeError) as error:
        raise InputError(
            f"RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT: other processes cannot be met: {error}",
            expected="what torchrun sets",
            remedy="torchrun --nproc-per-node=N -m asr_hf train ...   (or runtime.processes=N)",
        ) from error
    return ProcessGroup(
        rank, count, local_rank, local_count, FailureBoard(store, rank, count), store
    )
