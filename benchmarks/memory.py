"""Measure the peak memory of a method in a process of its own.

usage: python -m benchmarks.memory METHOD PRECISION DEVICE NAME FRAMES SIZE SIZE ...

Prints the peak of the bytes for setting up the method and two products, without the network, its
inputs and the vector. On the CPU, pages of the process are counted (VmHWM), with what kernels
allocate; on a GPU, blocks of torch's allocator.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from asr_hf.curvature.precision import Precision, matrix_arithmetic
from asr_hf.runtime.errors import RunError
from benchmarks.methods import METHODS
from benchmarks.nets import Net, Problem

_ROOT = Path(__file__).resolve().parents[1]
_WARM_FRAMES = 8


def peak_bytes(net: Net, method: str, precision: Precision, device: torch.device) -> int:
    """Measure one method in a process of its own.

    Returns:
        The bytes at its peak.

    Raises:
        RunError: the process failed.
    """
    sizes = [str(size) for size in net.sizes]
    given = [method, str(precision), str(device), net.name, str(net.frames), *sizes]
    # Large blocks get pages of their own and go back when freed: pages then count what is alive.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": str(1 << 20)}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", *given],
        cwd=_ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RunError(
            f"net {net.name}: measuring the memory of {method} failed (exit {done.returncode}):\n"
            + done.stderr.strip()[-2000:]
        )
    return int(json.loads(done.stdout.splitlines()[-1])["peak_bytes"])


def measure(net: Net, method: str, precision: Precision, device: torch.device) -> int:
    """Measure the peak of setting up a method and of two products (bytes beyond those before)."""
    dtype = dtype_of(method, precision)
    make = METHODS[method]
    # A small problem first, for imports, thread pools and buffers of the library.
    small = Net(net.name, net.sizes, _WARM_FRAMES)
    make(Problem(small, device, dtype), precision)()
    problem = Problem(net, device, dtype)
    before = _start(device)
    product = make(problem, precision)
    for _ in range(2):
        product()
    return _peak(device) - before


def dtype_of(method: str, precision: Precision) -> torch.dtype:
    """Return the dtype of the network: our products themselves narrow a float32 network."""
    narrow = precision is Precision.BF16 and method == "gradient"
    return torch.bfloat16 if narrow else torch.float32


def _start(device: torch.device) -> int:
    """Forget the peak so far and return the bytes held."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    # Linux: 5 sets VmHWM back to VmRSS (man 5 proc).
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return _status("VmHWM")


def _status(field: str) -> int:
    """Read a figure of this process's memory, in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    raise RunError(f"/proc/self/status: no {field}", remedy="memory is measured on Linux only")


def main(given: list[str]) -> None:
    """Measure the method that the command line names."""
    method, precision, device, name, frames, *sizes = given
    net = Net(name, tuple(int(size) for size in sizes), int(frames))
    with matrix_arithmetic(Precision(precision)):
        peak = measure(net, method, Precision(precision), torch.device(device))
    print(json.dumps({"peak_bytes": peak}))


if __name__ == "__main__":
    main(sys.argv[1:])
