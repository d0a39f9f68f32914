"""Run the Python examples of a page in Markdown, as one program, in the working folder.

usage: python scripts/run_page.py docs/python.md

What the examples read is made first: the run folder exp/first with a small model, and a recording.
"""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import numpy as np
import soundfile

from asr_hf.models.dnn import DNN
from asr_hf.training.model_file import FILE_NAME, save_model

_FEATURES = {
    "sample_rate": 8000,
    "resample": False,
    "num_mel_bins": 40,
    "low_freq": 20.0,
    "high_freq": 0.0,
    "window": "hamming",
    "frame_length": 25.0,
    "frame_shift": 10.0,
    "preemphasis": 0.97,
    "cmvn": "speaker",
    "transforms": None,
    "dtype": "float16",
    "jobs": 1,
    "max_skipped": 0.05,
}


def main() -> int:
    """Write the examples into one file and run it."""
    page = Path(sys.argv[1]).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    make_run(Path("exp/first"))
    make_recording(Path("hello.wav"))
    program = Path("examples.py")
    program.write_text("\n".join(blocks), encoding="utf-8")
    runpy.run_path(str(program), run_name="__main__")
    print(f"{len(blocks)} examples of {sys.argv[1]} ran")
    return 0


def make_run(folder: Path) -> None:
    """Make a run folder with an untrained model."""
    settings = {"hidden_sizes": [16], "left": 5, "right": 5}
    model = DNN(feature_dim=40, num_pdfs=120, seed=0, **settings)  # type: ignore[arg-type]
    folder.mkdir(parents=True, exist_ok=True)
    about = {"corpus": "prompts", "features": _FEATURES, "states": None}
    config = {"_target_": "asr_hf.models.dnn.DNN", **settings}
    save_model(folder / FILE_NAME, model, config, about)


def make_recording(path: Path) -> None:
    """Write two seconds of noise."""
    samples = np.random.default_rng(0).normal(scale=0.1, size=16_000)
    soundfile.write(path, samples, 8000)


if __name__ == "__main__":
    sys.exit(main())
