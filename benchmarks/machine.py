"""Describes the machine that the figures were measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

_NUMBERS = (("family", "cpu family"), ("model", "model"))
_PEERS = ("curvlinops-for-pytorch", "backpack-for-pytorch")


def describe(device: torch.device) -> dict[str, object]:
    """Describe processor, libraries and threads."""
    return {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "gpu": gpu_name() if device.type == "cuda" else None,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "blas": _blas(device),
        "peers": {name: _version(name) for name in _PEERS},
    }


def gpu_name() -> str:
    """Name the GPU and its memory."""
    properties = torch.cuda.get_device_properties(0)
    return f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB"


def cpu() -> str:
    """Name the processor, and the widest vector instructions that torch finds in it."""
    return f"{_cpu_model()}, {torch.backends.cpu.get_cpu_capability()}"


def _cpu_model() -> str:
    """Name the model; with its numbers, as clouds give several generations one name."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    # The last of the processors; all are alike.
    told = {name.strip(): value.strip() for name, _, value in (x.partition(":") for x in lines)}
    if "model name" not in told:
        return platform.processor() or "unknown"
    numbers = [f"{what} {told[key]}" for what, key in _NUMBERS if key in told]
    return told["model name"] + (f" ({', '.join(numbers)})" if numbers else "")


def _blas(device: torch.device) -> str:
    if device.type == "cuda":
        return f"cuBLAS of CUDA {torch.version.cuda}"
    lines = [line.strip() for line in torch.__config__.parallel_info().splitlines()]
    named = [line for line in lines if "Math Kernel Library" in line]
    return named[0] if named else "as torch was built"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
