"""The device, the threads and the random seeds of a run."""

from __future__ import annotations

import os
import random
import re

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


def seed_everything(seed: int) -> None:
    """Seed every generator of random numbers, and ask torch for deterministic kernels."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = False
    # Without it cuBLAS may choose another order of summation on each call.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
