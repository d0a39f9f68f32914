"""Make a corpus of synthetic features of any size, ready for training.

usage: python scripts/synthetic_store.py FOLDER [--hours 300] [--pdfs 9300] [--dim 40] [--seed 0]

Frames scatter around the centre of their label, and a label lasts a few frames, so that a network
can learn them. Train on the corpus with

    asr-hf train corpus=prompts corpus.name=synthetic corpus.dir=FOLDER name=synthetic
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from asr_hf.data.checksums import FILE_NAME as CHECKSUMS
from asr_hf.data.checksums import crc32, with_checksums
from asr_hf.data.store import FORMAT
from asr_hf.data.store_writer import SMALL_FILES
from asr_hf.runtime.ending import with_exit_code
from asr_hf.runtime.files import replaced_folder, write_json, write_text
from asr_hf.runtime.progress import progress

_FRAMES_AN_HOUR = 360_000
_BLOCK = 500_000
_LONGEST = 1500
_SHORTEST = 200


def write_store(folder: Path, frames: int, pdfs: int, dim: int, seed: int) -> None:
    """Write a store of about `frames` frames (utterances of 2 to 15 s) to `folder`."""
    rng = np.random.default_rng(seed)
    # The centres are the same for all seeds, so that sets of one corpus fit together.
    centres = np.random.default_rng(0).normal(size=(pdfs, dim)).astype(np.float32)
    lengths: list[int] = []
    sums: list[tuple[int, int]] = []
    written = 0
    bar: tqdm[None] = progress(desc=folder.name, total=frames, unit="frame")
    with replaced_folder(folder) as part:
        with (
            open(part / "frames.bin", "wb") as packed,
            open(part / "labels.bin", "wb") as labels,
            bar,
        ):
            while written < frames:
                block_frames = min(_BLOCK, frames - written)
                block = rng.integers(
                    _SHORTEST, _LONGEST, size=2 * block_frames // (_SHORTEST + _LONGEST) + 1
                )
                count = int(block.sum())
                segments = rng.integers(0, pdfs, size=count // 4 + 1, dtype=np.int32)
                pdf = np.repeat(segments, 4)[:count]
                noise = rng.standard_normal((count, dim), dtype=np.float32)
                values = (centres[pdf] + noise).astype(np.float16)
                packed.write(values.tobytes())
                labels.write(pdf.tobytes())
                cuts = np.cumsum(block)[:-1]
                pieces = zip(np.split(values, cuts), np.split(pdf, cuts), strict=True)
                sums.extend((crc32(of_frames), crc32(of_labels)) for of_frames, of_labels in pieces)
                lengths.extend(block.tolist())
                written += count
                bar.update(count)
        offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        np.save(part / "offsets.npy", offsets, allow_pickle=False)
        np.save(part / CHECKSUMS, np.array(sums, np.uint32), allow_pickle=False)
        names = "".join(f"synthetic-{n:07d}\n" for n in range(len(lengths)))
        write_text(part / "utterances.txt", names)
        write_text(part / "speakers.txt", names)
        about = {
            "format": FORMAT,
            "dim": dim,
            "dtype": "float16",
            "labelled": True,
            "num_pdfs": pdfs,
            "frames": int(offsets[-1]),
            "utterances": len(lengths),
            "features": {"format": "synthetic", "seed": seed},
        }
        write_json(part / "store.json", with_checksums(part, about, SMALL_FILES))


@with_exit_code
def main() -> None:
    """Write training and held-out stores."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--hours", type=float, default=300.0)
    parser.add_argument("--pdfs", type=int, default=9300)
    parser.add_argument("--dim", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    frames = int(options.hours * _FRAMES_AN_HOUR)
    for number, (name, count) in enumerate({"train": frames, "dev": 100_000}.items()):
        folder = options.folder / "store" / name
        write_store(folder, count, options.pdfs, options.dim, options.seed + number)


if __name__ == "__main__":
    raise SystemExit(main())
