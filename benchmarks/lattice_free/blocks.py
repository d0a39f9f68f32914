"""Measures time and memory of the denominator's sums, with bounds on what torch holds at once.

python -m benchmarks.lattice_free.blocks [--bounds 1TB 64MB] [--seconds 2 10 60 300] [options]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from asr_hf.criteria.denominator_groups import (
    Group,
    PathSums,
    frames_held,
    groups_of,
    paths_in_groups,
)
from asr_hf.criteria.denominator_recursion import DenominatorRecursion
from asr_hf.criteria.denominator_tiles import DenominatorTiles
from asr_hf.criteria.kernels.arc_rows import ArcRows, arc_rows
from asr_hf.runtime.allocator import return_large_blocks
from asr_hf.runtime.ending import with_exit_code
from asr_hf.training.planning.memory import parse_bytes
from benchmarks.lattice_free.kaldi.graphs import made_up
from benchmarks.machine import describe

# Seconds of speech of an emitted frame, of three 10 ms each.
_FRAME = 0.03
_LEAK = 0.1
_PHONES = 150
# Frames of all utterances together, and the most utterances.
_FRAMES, _ABREAST = 4000, 16
_FORK = multiprocessing.get_context("fork")


def alone(work: Callable[[], float]) -> tuple[float, int]:
    """Do some work in a process of its own.

    Args:
        work: the work; it returns the CPU seconds that are of interest.

    Returns:
        These seconds, and the bytes by which the process grew at most.
    """
    ours, theirs = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=lambda: theirs.send(_grown(work)))
    process.start()
    found: tuple[float, int] = ours.recv()
    process.join()
    return found


def _grown(work: Callable[[], float]) -> tuple[float, int]:
    before = _status("RssAnon")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    files = _status("RssFile")
    seconds = work()
    # Code that is read in meanwhile is no part of it.
    return seconds, _status("VmHWM") - before - max(files, _status("RssFile"))


def _status(key: str) -> int:
    """Return bytes of this process's memory as the system counts it."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    (value,) = [line.split()[1] for line in lines if line.startswith(key)]
    return 1024 * int(value)


def row_of(
    graph: DenominatorRecursion, rows: ArcRows, seconds: float, bound: int | None
) -> dict[str, Any]:
    """Measure a gradient and a product for utterances of a length.

    Args:
        graph: the graph.
        rows: the same graph, for compiled loops.
        seconds: seconds of an utterance.
        bound: bytes of sums that are held at once by torch; None lets compiled loops do it.

    Returns:
        The figures.
    """
    frames = round(seconds / _FRAME)
    lengths = torch.full((max(1, min(_ABREAST, _FRAMES // frames)),), frames)
    generator = torch.Generator().manual_seed(0)
    shape = (int(lengths.sum()), int(graph.pdf.max()) + 1)
    logits, direction = (torch.randn(shape, generator=generator) for _ in range(2))

    def sums(keep: bool = False) -> Iterator[tuple[Group, PathSums]]:
        if bound is not None:
            return paths_in_groups(graph, logits, lengths, _LEAK, bound, keep)
        everything = Group(slice(0, len(lengths)), slice(0, len(logits)), None)
        return iter([(everything, DenominatorTiles(rows, logits, lengths))])

    def gradient() -> float:
        start = time.process_time()
        made = [paths.occupancies for _, paths in sums()]
        return time.process_time() - start if made else 0.0

    def product() -> float:
        groups = list(sums(keep=True))
        assert all(paths.occupancies.isfinite().all() for _, paths in groups)
        start = time.process_time()
        made = [paths.tangent(direction[group.frames]) for group, paths in groups]
        return time.process_time() - start if made else 0.0

    if bound is None:
        # Compiling belongs to no row.
        gradient(), product()
    (gradient_seconds, gradient_bytes), (product_seconds, product_bytes) = map(
        alone, (gradient, product)
    )
    groups = [] if bound is None else groups_of(lengths.tolist(), graph, frames_held(graph, bound))
    return {
        "seconds": seconds,
        "utterances": len(lengths),
        "bound": bound,
        "groups": [group.block for group in groups],
        "gradient_seconds": gradient_seconds,
        "gradient_bytes": gradient_bytes,
        "product_seconds": product_seconds,
        "product_bytes": product_bytes,
    }


@with_exit_code
def main(given: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lattice_free.blocks", description=__doc__
    )
    parser.add_argument("--bounds", nargs="+", default=["1TB", "64MB"])
    parser.add_argument("--seconds", type=float, nargs="+", default=[2, 10, 60, 300])
    options = parser.parse_args(given)
    torch.set_num_threads(1)
    return_large_blocks()
    graph = made_up(0, _PHONES).denominator
    recursion = DenominatorRecursion.of(graph, torch.float32, torch.device("cpu"))
    rows = arc_rows(graph, _LEAK, "float32")
    print(
        json.dumps(
            {
                "machine": describe(torch.device("cpu")),
                "states": graph.num_states,
                "arcs": len(graph.arcs),
                "pdfs": graph.num_pdfs,
                "entries": len(recursion.pdf),
            }
        )
    )
    for seconds in options.seconds:
        for bound in [*(parse_bytes(bound, "--bounds") for bound in options.bounds), None]:
            print(json.dumps(row_of(recursion, rows, seconds, bound)), flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
