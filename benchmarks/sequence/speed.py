"""Measure the cost of lattices in a gradient: python -m benchmarks.sequence.speed CORPUS_FOLDER."""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr_hf.criteria.cross_entropy import CrossEntropy
from asr_hf.criteria.mbr import MinimumBayesRisk
from asr_hf.data.lattice_store import LatticeStore
from asr_hf.data.store import FrameStore
from asr_hf.hf.objective import Sample, Split
from asr_hf.models.dnn import DNN
from asr_hf.runtime.errors import AsrHfError
from asr_hf.runtime.files import read_json, write_json
from asr_hf.runtime.logs import configure_logging
from asr_hf.training.feeding.targets import LatticeTargets
from asr_hf.training.frame_objective import FrameObjective
from benchmarks.gemm import square_gemm
from benchmarks.machine import describe
from benchmarks.rounds import Spread, Task, interleave

log = logging.getLogger("asr_hf.benchmarks")

RESULTS = Path(__file__).resolve().parents[1] / "results" / "sequence.json"
FRAMES_A_SECOND = 100
FRAMES, SCALE = 32_768, 0.15
# The value in +stage=smbr.
CHUNK_FRAMES = 16_384


class Bench:
    """Computes gradients of both criteria on the same utterances, and the part of lattices alone.

    Args:
        corpus: folder of a corpus.
        store: frame store of the corpus.
        lattices: lattices of the corpus.
    """

    def __init__(self, store: FrameStore, lattices: LatticeStore) -> None:
        model = DNN(
            feature_dim=store.dim,
            num_pdfs=store.num_pdfs,
            hidden_sizes=[1024] * 5,
            activation="sigmoid",
            left=5,
            right=5,
            seed=0,
        )
        model.set_log_priors(torch.from_numpy(store.label_counts()))
        stores = dict.fromkeys(Split, store)
        used = np.array([u for u, name in enumerate(store.utterances) if name in lattices])
        self.targets = LatticeTargets(
            stores, dict.fromkeys(Split, lattices), dict.fromkeys(Split, used), model
        )
        self.criterion = MinimumBayesRisk(SCALE)
        self.sequences = FrameObjective(
            model, self.criterion, stores, CHUNK_FRAMES, targets=self.targets
        )
        self.frames = FrameObjective(model, CrossEntropy(), stores, CHUNK_FRAMES)
        self.theta = model.flat.detach().clone()
        ends = np.cumsum(self.sequences.unit_frames(Split.TRAIN))
        units = np.arange(int(np.searchsorted(ends, FRAMES)) + 1)
        self.of_sequences = Sample(Split.TRAIN, units)
        self.of_frames = Sample(Split.TRAIN, used[units])
        self.num_frames = int(ends[len(units) - 1])
        # In the order of the objective: utterances of similar lengths together.
        by_length = units[np.argsort(self.sequences.unit_frames(Split.TRAIN)[units], kind="stable")]
        chunks = list(self.sequences.units[Split.TRAIN].batches(by_length, CHUNK_FRAMES))
        with torch.no_grad():
            self._logits = [model(model.inputs(chunk.batch)) for chunk in chunks]
        self._chunks = chunks
        arcs = sum(len(lattices.lattice(store.utterances[u]).arcs) for u in used[units].tolist())
        self.arcs_per_frame = arcs / self.num_frames

    def lattice_part(self) -> None:
        """Pack the lattices; compute expected accuracies and the gradient at the outputs."""
        for chunk, logits in zip(self._chunks, self._logits, strict=True):
            targets = self.targets.of(Split.TRAIN, chunk)
            self.criterion.loss_and_gradient(logits, targets)

    def tasks(self) -> dict[str, Task]:
        """Return the tasks that are timed, by name."""
        return {
            "cross_entropy": lambda: self.frames.gradient(self.theta, self.of_frames),
            "smbr": lambda: self.sequences.gradient(self.theta, self.of_sequences),
            "lattices": self.lattice_part,
        }


def measure(store: FrameStore, lattices: LatticeStore, rounds: int) -> dict[str, Any]:
    """Time all tasks in interleaved rounds."""
    bench, device = Bench(store, lattices), torch.device("cpu")
    reference = square_gemm(2048, device, torch.float32)
    timed = interleave(
        bench.tasks(), reference, device, rounds, 2 * rounds, "sMBR's gradient", repeat=False
    )
    audio = bench.num_frames / FRAMES_A_SECOND
    threads = torch.get_num_threads()
    speeds = [audio / r.seconds["lattices"] / threads for r in timed.valid]
    return {
        "frames": bench.num_frames,
        "arcs_per_frame": bench.arcs_per_frame,
        "threads": threads,
        "seconds": {name: asdict(timed.seconds(name)) for name in bench.tasks()},
        "smbr_over_cross_entropy": asdict(timed.ratio("smbr", "cross_entropy")),
        "lattices_times_real_time_a_core": asdict(Spread.of(speeds)),
        "rounds": timed.counts(),
    }


def main(given: list[str]) -> int:
    """Measure, and write the figures to a file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sequence.speed")
    parser.add_argument("store", type=Path, help="a frame store, e.g. data/prompts5/store/train")
    parser.add_argument("lattices", type=Path, help="e.g. data/prompts5/lattices/train")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args(given)
    configure_logging(debug=False)
    try:
        speed = measure(
            FrameStore.open(options.store), LatticeStore.open(options.lattices), options.rounds
        )
        known = read_json(RESULTS) if RESULTS.exists() else {}
        machine = describe(torch.device("cpu"))
        write_json(RESULTS, known | {"speed": speed | {"machine": machine}})
    except AsrHfError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    log.info("%s", speed)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
