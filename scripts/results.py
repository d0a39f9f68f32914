"""Adds a suite's results to a file of results."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from asr_hf.runtime.files import read_json, write_json
from benchmarks.machine import describe

_TOLD = ("cpu", "cores", "system", "python", "torch")


def add_run(path: Path, run: dict[str, Any]) -> None:
    """Add a run, and the machine that it was on, to the JSON file `path`.

    Raises:
        InputError: the file exists and is no JSON.
        RunError: the file cannot be written.
    """
    runs = read_json(path)["runs"] if path.exists() else []
    machine = describe(torch.device("cpu"))
    runs.append({"machine": {key: machine[key] for key in _TOLD}, **run})
    write_json(path, {"runs": runs})
