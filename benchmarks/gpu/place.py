"""What the check's figures belong to: the machine, its driver, and the commit."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Any

import torch

from benchmarks.machine import describe
from benchmarks.study.runs import ROOT

_SECONDS = 20
_UNKNOWN = "unknown"


def place(device: torch.device, commit: str | None) -> dict[str, Any]:
    """Describe the machine, the driver and the commit.

    Args:
        device: device that is measured.
        commit: the commit, where the folder is no checkout that could tell; None asks git.

    Returns:
        The description, plain values.
    """
    return {
        "machine": describe(device),
        "driver": _driver() if device.type == "cuda" else None,
        "cuda": torch.version.cuda,
        "commit": commit or _commit(),
    }


def _driver() -> str:
    query = ("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader", "--id=0")
    return _said(query) or _UNKNOWN


def _commit() -> str:
    """Return the commit, with a plus where files differ from it."""
    commit = _said(("git", "rev-parse", "--short=12", "HEAD"))
    if not commit:
        return _UNKNOWN
    changed = _said(("git", "status", "--porcelain", "--untracked-files=no"))
    return commit + ("+" if changed else "")


def _said(command: Sequence[str]) -> str:
    """Return what a command printed; nothing where it is missing, fails or hangs."""
    try:
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else done.stdout.strip()
