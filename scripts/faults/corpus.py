"""A corpus so small that a network is trained on it in a second, from features on."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from asr_hf.data.alignment import Alignments
from asr_hf.data.ark import ArkWriter
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.runtime.files import write_json
from scripts.faults.child import Child

ITERATIONS = 5
PDFS, DIM = 6, 4
_NAME = "tiny"
_CORPUS = ["+recipe=prompts", f"corpus.name={_NAME}", "corpus.sets=[train,dev]"]
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
    centres = np.random.default_rng(9).normal(size=(PDFS, DIM))
    every: dict[str, np.ndarray] = {}
    for seed, name in enumerate(("train", "dev")):
        random = np.random.default_rng(seed)
        lengths = random.integers(5, 30, 20)
        utterances = [f"{name}-{number:02d}" for number in range(len(lengths))]
        fbank = data / _NAME / "fbank" / name
        with ArkWriter(fbank, "feats") as ark:
            for utterance, length in zip(utterances, lengths, strict=True):
                labels = random.integers(0, PDFS, length).astype(np.int32)
                frames = centres[labels] + 0.7 * random.normal(size=(length, DIM))
                ark.write(utterance, frames.astype(np.float32))
                every[utterance] = labels
        write_json(fbank / "fbank.json", {"cmvn": "none", "options": {}})
        told = [Utterance(u, u, u, text="word", language="en") for u in utterances]
        wavs = {u: str(data / f"{u}.wav") for u in utterances}
        DataDir(data / _NAME / name, told, wavs).write()
    Alignments(every, PDFS).write(data)


def pack(data: Path, log: Path) -> None:
    """Pack its frame stores with the command that users give."""
    arguments = ["align", *ALIGN, f"paths.data={data}", "name=pack", f"paths.exp={data}/exp"]
    outcome = Child([*arguments, f"alignment.from_ark={data}/ali.ark"], log).wait()
    if outcome.code != 0:
        raise RuntimeError(outcome.said)


def timed(child: Child) -> float:
    """Seconds until a command ends.

    Raises:
        RuntimeError: it fails.
    """
    start = time.monotonic()
    outcome = child.wait()
    if outcome.code != 0:
        raise RuntimeError(outcome.said)
    return time.monotonic() - start
