"""Times lattice-free MMI: its denominator, and a gradient of it beside one of cross-entropy.

python -m benchmarks.lattice_free.speed data/prompts5/graphs-chain3/denominator [options]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from asr_hf.criteria.cross_entropy import CrossEntropy
from asr_hf.criteria.denominator_paths import DenominatorPaths
from asr_hf.criteria.denominator_recursion import DenominatorRecursion
from asr_hf.criteria.denominator_tiles import DenominatorTiles
from asr_hf.criteria.kernels.arc_rows import arc_rows
from asr_hf.criteria.lattice_batch import LatticeBatch
from asr_hf.criteria.lattice_free import LatticeFreeMMI
from asr_hf.criteria.sequence import SequenceTargets
from asr_hf.data.denominator_graph import DenominatorGraph
from asr_hf.data.lattice import ARC, FINAL, Lattice
from asr_hf.runtime.ending import with_exit_code
from benchmarks.machine import describe
from benchmarks.rounds import Rounds, Task, interleave

# Seconds of speech of an emitted frame, of three 10 ms each.
_FRAME = 0.03
_LEAK = 0.1
_GEMM = 768


def numerator(random: np.random.Generator, frames: int, pdfs: int) -> Lattice:
    """Make a graph of one path and, at each frame, one more pdf, as tolerances give."""
    rows = [
        (t, t + 1, int(label) + 1, 0, -0.7, 0.0)
        for t in range(frames)
        for label in random.integers(0, pdfs, 2)
    ]
    finals = np.array([(frames, 0.0)], FINAL)
    return Lattice("u", np.array(rows, ARC), np.arange(frames + 1, dtype=np.int32), finals)


def network(sizes: Sequence[int], inputs: int, outputs: int) -> nn.Sequential:
    """Make a network of ReLU layers."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in zip([inputs, *sizes], [*sizes, outputs], strict=True):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def tasks_of(folder: Path, utterances: int, frames: int, hidden: Sequence[int]) -> dict[str, Task]:
    """Make what is timed.

    Args:
        folder: folder of the denominator graph.
        utterances: number of utterances side by side.
        frames: emitted frames of each.
        hidden: sizes of the hidden layers of the network.

    Returns:
        The tasks by name.
    """
    graph, device = DenominatorGraph.load(folder, ""), torch.device("cpu")
    recursion = DenominatorRecursion.of(graph, torch.float32, device)
    rows = arc_rows(graph, _LEAK, "float32")
    random, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    total, pdfs = utterances * frames, graph.num_pdfs
    logits = torch.randn(total, pdfs, generator=generator)
    lengths = torch.full((utterances,), frames)
    lattices = [numerator(random, frames, pdfs) for _ in range(utterances)]
    pdf_of = np.arange(-1, pdfs, dtype=np.int32)
    labels = torch.from_numpy(random.integers(0, pdfs, total))
    batch = LatticeBatch.pack(lattices, pdf_of, pdf_of, device)
    targets = SequenceTargets(labels, batch, torch.zeros(pdfs), labels, [])
    kept = DenominatorPaths(recursion, logits, lengths, _LEAK, keep=True)
    tiles = DenominatorTiles(rows, logits, lengths)
    direction = torch.randn(total, pdfs, generator=generator)
    net = network(hidden, 440, pdfs)
    inputs = torch.randn(total, 440, generator=generator)
    lattice_free, frame = LatticeFreeMMI(folder, _LEAK), CrossEntropy()

    def gradient(criterion: Any, to: SequenceTargets | Tensor) -> None:
        net.zero_grad()
        outputs = net(inputs)
        outputs.backward(criterion.gradient(outputs.detach(), to))

    torch.testing.assert_close(kept.occupancies, tiles.occupancies, rtol=0, atol=1e-4)
    return {
        "denominator": lambda: DenominatorTiles(rows, logits, lengths).occupancies,
        "denominator by torch": lambda: (
            DenominatorPaths(recursion, logits, lengths, _LEAK).occupancies
        ),
        "totals": lambda: DenominatorTiles(rows, logits, lengths).totals,
        "totals by torch": lambda: DenominatorPaths(recursion, logits, lengths, _LEAK).totals,
        "tangent": lambda: tiles.tangent(direction),
        "tangent by torch": lambda: kept.tangent(direction),
        "gradient of cross-entropy": lambda: gradient(frame, labels),
        "gradient of LF-MMI": lambda: gradient(lattice_free, targets),
    }


def figures(rounds: Rounds, speech: float) -> dict[str, Any]:
    """Compute the figures of some rounds over `speech` seconds of speech."""
    found: dict[str, Any] = {
        f"{task.replace(' ', '_')}_times_real_time": speech / rounds.seconds(task).median
        for task in rounds.all[0].seconds
        if not task.startswith("gradient")
    }
    found["gradient_over_cross_entropy"] = asdict(
        rounds.ratio("gradient of LF-MMI", "gradient of cross-entropy")
    )
    return found


@with_exit_code
def main(given: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.lattice_free.speed", description=__doc__
    )
    parser.add_argument("denominator", type=Path)
    parser.add_argument("--utterances", type=int, nargs="+", default=[16])
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--hidden", type=int, nargs="+", default=[1536] * 6)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(given)
    torch.set_num_threads(1)
    matrix = torch.randn(_GEMM, _GEMM)
    graph = DenominatorGraph.load(options.denominator, "")
    found: dict[str, Any] = {
        "machine": describe(torch.device("cpu")),
        "states": graph.num_states,
        "arcs": len(graph.arcs),
        "pdfs": graph.num_pdfs,
        "hidden": options.hidden,
    }
    for utterances in options.utterances:
        rounds = interleave(
            tasks_of(options.denominator, utterances, options.frames, options.hidden),
            lambda: matrix @ matrix,
            torch.device("cpu"),
            options.rounds,
            3 * options.rounds,
            f"{utterances} utterances",
        )
        found[f"{utterances} utterances"] = figures(rounds, utterances * options.frames * _FRAME)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    raise SystemExit(main())
