"""Check asr-hf on a machine with an NVIDIA GPU, in minutes: `make gpu-check`."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from asr_hf.hf.objective import Split
from asr_hf.runtime.errors import AsrHfError, InputError
from asr_hf.runtime.files import read_json, write_json, write_text
from asr_hf.runtime.interruption import Interrupted, Interruption
from asr_hf.runtime.logs import configure_logging
from benchmarks.gpu.pack import PACKED, unpack
from benchmarks.gpu.page import page
from benchmarks.gpu.place import place
from benchmarks.gpu.plan import Check, Data, steps
from benchmarks.gpu.steps import FAILED, run_steps
from benchmarks.study.runs import ROOT
from benchmarks.synthetic import make_store

log = logging.getLogger("asr_hf.benchmarks")

RESULTS = ROOT / "benchmarks/results"
PAGE = ROOT / "docs/gpu.md"
_CORPUS = "prompts5"


def parse(given: list[str]) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="make gpu-check", description=__doc__)
    parser.add_argument("--minutes", type=float, default=8, help="bound on all steps together")
    parser.add_argument("--out", type=Path, help="folder of gpu.json and gpu.md")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: a trial of the check")
    parser.add_argument("--data", type=Path, help="what make gpu-pack wrote")
    parser.add_argument("--target", type=float, default=1.0, help="held-out loss to train to")
    parser.add_argument("--steps", nargs="*", default=[], metavar="STEP", help="only these")
    parser.add_argument("--commit", help="the commit, where git cannot tell")
    parser.add_argument("--page-only", action="store_true", help="from the gpu.json there is")
    options = parser.parse_args(given)
    if not options.minutes > 0:
        parser.error("--minutes: needs more than 0")
    return options


def prepare_data(options: argparse.Namespace, folder: Path) -> Data:
    """Find what is trained on, unpack it, or make it where the check is only tried.

    Args:
        options: command line.
        folder: folder for what is unpacked or made.

    Returns:
        What is trained on; where nothing is found, trainings will say so.

    Raises:
        InputError: the file that the command line names is missing or damaged.
    """
    if options.data is not None or (PACKED.is_file() and not options.quick):
        corpus = unpack(options.data or PACKED, folder)
        return Data(folder, f"+recipe={corpus.name}")
    if options.quick:
        for name, split in (("train", Split.TRAIN), ("dev", Split.HELDOUT)):
            seed = list(Split).index(split)
            make_store(folder / "prompts/store" / name, 2048, 6, 8, seed=seed)
        return Data(folder, "+recipe=prompts")
    return Data(ROOT / "data", f"+recipe={_CORPUS}")


def check(options: argparse.Namespace, out: Path) -> bool:
    """Do all steps; the results are written after each.

    Args:
        options: command line.
        out: folder of gpu.json.

    Returns:
        Whether no step failed; what was cut, or not begun for want of time, did not fail.

    Raises:
        InputError: there is no GPU, the data are damaged, or a step is unknown.
    """
    if options.device == "cuda" and not torch.cuda.is_available():
        raise InputError(
            "make gpu-check: torch finds no GPU here",
            expected="an NVIDIA GPU, its driver, and a torch built for CUDA",
            remedy="--device cpu --quick tries the check itself on a CPU",
        )
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        data = prepare_data(options, work / "data")
        common = Check(options.device, options.quick, data, options.target, tuple(options.steps))
        listed = steps(common)
        about = place(torch.device(options.device), options.commit) | {
            "quick": options.quick,
            "minutes": options.minutes,
            "target": options.target,
            "data": data.overrides.removeprefix("+recipe="),
        }

        def save(entries: list[dict[str, Any]]) -> None:
            results = about | {"seconds": time.monotonic() - start, "steps": entries}
            write_json(out / "gpu.json", results)

        left = 60 * options.minutes - (time.monotonic() - start)
        entries = run_steps(listed, left, work / "steps", save)
    return all(entry.status != FAILED for entry in entries)


def write_page(results: Path, target: Path) -> None:
    """Write the page from the results, if there are any."""
    if not results.is_file():
        log.info("%s: not run yet, so there is no page", results)
        return
    write_text(target, page(read_json(results)))
    log.info("figures in %s, page in %s", results, target)


def main(given: list[str]) -> int:
    """Run the command line.

    Args:
        given: options.

    Returns:
        Exit code: 0 where no step failed, 1 where one did, 2 without a GPU or data.
    """
    options = parse(given)
    configure_logging(debug=False)
    out = options.out or (ROOT / "build/gpu" if options.quick else RESULTS)
    target = PAGE if out == RESULTS else out / "gpu.md"
    right = True
    try:
        with Interruption():
            if not options.page_only:
                right = check(options, out)
            write_page(out / "gpu.json", target)
    except (AsrHfError, Interrupted) as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0 if right else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
