"""A frame store whose frames cluster by pdf."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from asr_hf.data.store import FORMAT


def write_clusters(
    folder: Path, random: np.random.Generator, lengths: np.ndarray, pdfs: int, dim: int
) -> None:
    """Write a store of utterances of these lengths."""
    labels = random.integers(0, pdfs, lengths.sum()).astype(np.int32)
    centres = np.random.default_rng(9).normal(size=(pdfs, dim))
    frames = (centres[labels] + 0.7 * random.normal(size=(len(labels), dim))).astype(np.float32)
    folder.mkdir(parents=True)
    frames.tofile(folder / "frames.bin")
    labels.tofile(folder / "labels.bin")
    np.save(folder / "offsets.npy", np.concatenate([[0], lengths.cumsum()]).astype(np.int64))
    for file in ("utterances.txt", "speakers.txt"):
        (folder / file).write_text("".join(f"u{i}\n" for i in range(len(lengths))))
    about = {
        "format": FORMAT,
        "dim": dim,
        "dtype": "float32",
        "labelled": True,
        "num_pdfs": pdfs,
        "frames": len(labels),
        "utterances": len(lengths),
    }
    (folder / "store.json").write_text(json.dumps(about))
