"""`asr-hf train` on a GPU ends where it ends on a CPU."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from ..toy_store import write_clusters

for needed in ("hydra", "omegaconf", "kaldiio", "soundfile", "tensorboard"):
    pytest.importorskip(needed)
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

TINY = ["+recipe=prompts", "model.hidden_sizes=[16]", "model.normalisation=rms"]
TRAINERS = {
    "kfac": "+preset=kfac_cg trainer.stopping.max_iterations=6 sampling=fixed frame_stride=1",
    "stochastic": "+preset=kfac trainer.horizon.epochs=2 frame_stride=1",
    "adamw": "trainer=adamw trainer.learning_rate=0.01 trainer.batch_frames=64",
}


def train(folder, name: str, *words: str) -> float:
    from asr_hf.cli.main import main

    paths = [f"paths.data={folder / 'data'}", f"paths.exp={folder}", f"name={name}"]
    assert main(["train", *TINY, *words, *paths]) == 0
    return json.loads((folder / name / "result.json").read_text())["heldout_loss"]


@pytest.mark.parametrize("key", TRAINERS)
def test_a_gpu_ends_where_a_cpu_does(tmp_path, key):
    for seed, name in enumerate(("train", "dev")):
        random = np.random.default_rng(seed)
        folder = tmp_path / "data/prompts/store" / name
        write_clusters(folder, random, random.integers(5, 30, 60), 6, 4)
        names = "".join(f"{name}-{unit}\n" for unit in range(60))
        (folder / "utterances.txt").write_text(names)
    words = TRAINERS[key].split()
    reference = train(tmp_path, "cpu", *words, "runtime.device=cpu")
    found = train(tmp_path, "gpu", *words, "runtime.device=cuda")
    assert reference < np.log(6)
    assert found == pytest.approx(reference, rel=2e-2)
    if key == "kfac":
        replayed = train(tmp_path, "graphs", *words, "+hardware=gpu", "runtime.cuda_graphs=true")
        assert replayed == pytest.approx(reference, rel=5e-2)
