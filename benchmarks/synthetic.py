"""Makes a frame store of random frames that a network can learn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from asr_hf.data.store import FORMAT, FrameStore
from asr_hf.runtime.files import atomic_path, write_json, write_text


def make_store(
    folder: Path, frames: int, dim: int, num_pdfs: int, seed: int, utterance: int = 256
) -> FrameStore:
    """Write and open a store whose labels follow from its frames by a fixed linear map.

    Args:
        folder: folder of the store.
        frames: number of frames, cut into utterances.
        dim: number of features of a frame.
        num_pdfs: number of labels.
        seed: seed of the frames; the map is the same for all seeds.
        utterance: number of frames of each utterance but the last.

    Returns:
        The store.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    teacher = np.random.default_rng(0).standard_normal((dim, num_pdfs), dtype=np.float32)
    offsets = np.append(np.arange(0, frames, utterance, dtype=np.int64), frames)
    with (
        atomic_path(folder / "frames.bin") as values,
        atomic_path(folder / "labels.bin") as pdfs,
        values.open("wb") as to_values,
        pdfs.open("wb") as to_pdfs,
    ):
        for length in np.diff(offsets).tolist():
            block = random.standard_normal((length, dim), dtype=np.float32)
            to_values.write(block.astype(np.float16).tobytes())
            to_pdfs.write((block @ teacher).argmax(axis=1).astype(np.int32).tobytes())
    with atomic_path(folder / "offsets.npy") as path, path.open("wb") as file:
        np.save(file, offsets, allow_pickle=False)
    units = range(len(offsets) - 1)
    write_text(folder / "utterances.txt", "".join(f"utterance-{seed}-{u}\n" for u in units))
    write_text(folder / "speakers.txt", "".join("nobody\n" for _ in units))
    about = {
        "format": FORMAT,
        "dim": dim,
        "dtype": "float16",
        "labelled": True,
        "num_pdfs": num_pdfs,
        "frames": frames,
        "utterances": len(units),
        "trimmed": 0,
        "skipped": {},
        "features": {},
    }
    write_json(folder / "store.json", about)
    return FrameStore.open(folder)
