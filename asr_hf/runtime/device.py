"""Device, threads and reproducibility of a run."""

from __future__ import annotations

import os
import random
import re

import numpy as np
import torch

from asr_hf.runtime.errors import InputError


def choose_device(wanted: str, threads: int | None = None) -> torch.device:
    """Return the device to compute on and set the number of CPU threads.

    Args:
        wanted: "auto" (a GPU when there is one), "cpu", "cuda" or "cuda:<index>".
        threads: of the CPU; None keeps torch's choice.

    Raises:
        InputError: the device is unknown or not there.
    """
    if threads is not None:
        if threads < 1:
            raise InputError(f"runtime.threads={threads}: at least one thread is needed")
        torch.set_num_threads(threads)
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not re.fullmatch(r"cpu|cuda(:\d+)?", wanted):
        raise InputError(
            f"runtime.device: {wanted!r} is no device", expected="auto, cpu, cuda or cuda:<index>"
        )
    device = torch.device(wanted)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"runtime.device={wanted}: this machine has {torch.cuda.device_count()} CUDA devices",
            remedy="use runtime.device=auto or cpu",
        )
    return device


def seed_everything(seed: int) -> None:
    """Seed every generator and ask for kernels that repeat bit for bit."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    torch.backends.cudnn.benchmark = False
    # Without it cuBLAS may choose another order of summation on each call.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
