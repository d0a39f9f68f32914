"""Makes a corpus of features so small that a network trains on it in a second."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.alignment import Alignments
from asr_hf.data.ark import ArkWriter
from asr_hf.data.extract import KIND, segments_source
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.data.lattice import ARC, FINAL, Lattice
from asr_hf.data.lattice_writer import LabelMap, write_lattices
from asr_hf.runtime.artefact import make_anew
from asr_hf.runtime.files import write_json
from asr_hf.runtime.provenance import ArtefactSpec
from scripts.faults.child import Child

ITERATIONS = 5
PDFS, DIM = 6, 4
NAME = "tiny"
SETS = ("train", "dev")
_CORPUS = ["+recipe=prompts", f"corpus.name={NAME}", "corpus.sets=[train,dev]"]
ALIGN = [*_CORPUS, f"alignment.num_pdfs={PDFS}"]
TRAIN = [
    *_CORPUS,
    "model.hidden_sizes=[16]",
    "sampling=fixed",
    "sampling.curvature=0.5",
    f"trainer.stopping.max_iterations={ITERATIONS}",
    "trainer.stopping.patience=1000",
    "runtime.checkpoint_seconds=0",
    "runtime.device=cpu",
]


def write_corpus(data: Path) -> None:
    """Write data directories, features and alignments of two sets to `data`/tiny."""
    for name in SETS:
        utterances = list(labels_of(name))
        entries = [Utterance(u, u, u, text="word", language="en") for u in utterances]
        wavs = {u: str(data / f"{u}.wav") for u in utterances}
        DataDir(data / NAME / name, entries, wavs).write()
        write_features(data, name)
    write_alignments(data)


def labels_of(name: str) -> dict[str, NDArray[np.int32]]:
    """Draw the pdf of every frame of the utterances of a set."""
    random = np.random.default_rng(SETS.index(name))
    lengths = random.integers(5, 30, 20)
    return {
        f"{name}-{number:02d}": random.integers(0, PDFS, length).astype(np.int32)
        for number, length in enumerate(lengths)
    }


def write_features(data: Path, name: str, seed: int = 0) -> None:
    """Write features of a set as `asr-hf features` does, drawn around the centres of its labels."""
    centres = np.random.default_rng(9).normal(size=(PDFS, DIM))
    random = np.random.default_rng([seed, SETS.index(name)])

    def make(folder: Path) -> dict[str, Any]:
        with ArkWriter(folder, "feats") as ark:
            for utterance, labels in labels_of(name).items():
                frames = centres[labels] + 0.7 * random.normal(size=(len(labels), DIM))
                ark.write(utterance, frames.astype(np.float32))
        write_json(folder / "fbank.json", {"cmvn": "none", "options": {}})
        return {"skipped": {}}

    segments = segments_source(DataDir.read(data / NAME / name))
    make_anew(data / NAME / "fbank" / name, ArtefactSpec(KIND, {}, {"segments": segments}), make)


def write_alignments(data: Path, shift: int = 0) -> None:
    """Write the labels of both sets, each shifted by `shift` pdfs, to `data`/ali.ark."""
    alignments = {
        u: (labels + shift) % PDFS for name in SETS for u, labels in labels_of(name).items()
    }
    Alignments(alignments, PDFS).write(data)


def write_sausages(data: Path, seed: int) -> None:
    """Write lattices of both sets: at every frame its label, or another one."""
    ids = np.arange(PDFS + 1, dtype=np.int32)
    labels = LabelMap(np.maximum(ids - 1, 0), ids, [])
    for name in SETS:
        random = np.random.default_rng([seed, SETS.index(name)])
        lattices = (
            _sausage(u, frame_labels, random) for u, frame_labels in labels_of(name).items()
        )
        write_lattices(data / NAME / "lattices" / name, lattices, labels, {})


def _sausage(utterance: str, labels: NDArray[np.int32], random: np.random.Generator) -> Lattice:
    frames = len(labels)
    arcs = np.zeros(2 * frames, ARC)
    arcs["source"] = np.repeat(np.arange(frames), 2)
    arcs["target"] = arcs["source"] + 1
    arcs["label"][::2] = labels + 1
    arcs["label"][1::2] = (labels + random.integers(1, PDFS, frames)) % PDFS + 1
    finals = np.zeros(1, FINAL)
    finals["state"] = frames
    return Lattice(utterance, arcs, np.arange(frames + 1, dtype=np.int32), finals)


def pack(data: Path, log: Path) -> None:
    """Pack the corpus into frame stores with the command that users give."""
    arguments = ["align", *ALIGN, f"paths.data={data}", "name=pack", f"paths.exp={data}/exp"]
    outcome = Child([*arguments, f"alignment.from_ark={data}/ali.ark"], log).wait()
    if outcome.code != 0:
        raise RuntimeError(outcome.said)


def timed(child: Child) -> float:
    """Wait for a command to end.

    Returns:
        Its duration (seconds).

    Raises:
        RuntimeError: the command fails.
    """
    start = time.monotonic()
    outcome = child.wait()
    if outcome.code != 0:
        raise RuntimeError(outcome.said)
    return time.monotonic() - start
