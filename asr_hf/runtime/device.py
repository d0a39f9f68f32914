"""The device, the threads and the random seeds of a run."""

from __future__ import annotations

import os
import random
import re
from pathlib import Path

import numpy as np
import torch

from asr_hf.runtime.errors import InputError


def choose_device(name: str, threads: int | None = None) -> torch.device:
    """Return the device to compute on and set the number of CPU threads.

    Args:
        name: "auto" (a GPU where there is one), "cpu", "cuda" or "cuda:<index>".
        threads: number of CPU threads; None keeps torch's choice.

    Raises:
        InputError: the device is unknown, or this machine has no such device.
    """
    if threads is not None:
        if threads < 1:
            raise InputError(f"runtime.threads={threads}: at least one thread is needed")
        torch.set_num_threads(threads)
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
        raise InputError(
            f"runtime.device: {name!r} is no device", expected="auto, cpu, cuda or cuda:<index>"
        )
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"runtime.device={name}: this machine has {torch.cuda.device_count()} CUDA devices",
            remedy="use runtime.device=auto or cpu",
        )
    return device


def free_memory() -> int:
    """Return the bytes of this machine's memory that are free, or that the system would give up."""
    try:
        table = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        table = ""
    available = re.search(r"MemAvailable:\s+(\d+) kB", table)
    if available:
        return int(available[1]) * 1024
    # Where there is no such table, half of all there is.
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def seed_everything(seed: int) -> None:
    """Seed every generator of random numbers, and ask torch for deterministic kernels."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = False
    # Without it cuBLAS may choose another order of summation on each call.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    # As use_deterministic_algorithms(True, warn_only=True), which would load torch's compiler, 1 s.
    torch.set_deterministic_debug_mode("warn")
