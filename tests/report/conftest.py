"""Run folders that look like real ones."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ..chromium import browser as browser

Event = dict[str, Any]


def hf_events(count: int, seed: int = 0, start: float = 4.78, floor: float = 1.30) -> list[Event]:
    """Events of a Hessian-free run with growing samples and a few rejected steps."""
    rng = np.random.default_rng(seed)
    frames = {"gradient": 0, "curvature": 0, "loss": 5000}
    loss, damping, seconds = start, 1.0, 0.4
    events = [initial_event(start)]
    for i in range(1, count + 1):
        gradient_frames = int(min(118_000, 6000 * 1.2 ** (i - 1)))
        curvature_frames = int(min(5900, 1200 * 1.2 ** (i - 1)))
        cg = int(min(60, 8 + 1.6 * i + rng.integers(0, 9)))
        accepted = bool(i not in (7, 19))
        rho = float(np.clip(rng.normal(0.7, 0.25), -0.4, 1.3)) if accepted else None
        if accepted:
            loss = floor + (loss - floor) * (0.80 + 0.06 * float(rng.random()))
        damping *= 1.5 if not accepted or (rho or 0.0) < 0.25 else 2 / 3 if (rho or 0) > 0.75 else 1
        frames["gradient"] += gradient_frames
        frames["curvature"] += cg * curvature_frames
        frames["loss"] += 8 * 12_000
        phases = {
            "gradient": gradient_frames / 60_000,
            "curvature": cg * curvature_frames / 50_000,
            "backtrack": 0.35,
            "line_search": 0.2 if accepted else 0.0,
        }
        seconds += sum(phases.values())
        events.append(
            {
                "iteration": i,
                "optimiser": "hf",
                "train_loss": loss * 0.97 + 0.02 * float(rng.random()),
                "heldout_loss": loss + 0.004 * max(0, i - 20),
                "heldout_frame_error": 1 - math.exp(-loss * 0.48),
                "seconds": seconds,
                "phase_seconds": phases,
                "work": float(3 * frames["gradient"] + 4 * frames["curvature"] + frames["loss"]),
                "frames": dict(frames),
                "learning_rate": None,
                "cg_iterations": cg,
                "cg_reason": "max_iterations"
                if cg == 60
                else ("non_positive_curvature" if i == 7 else "progress"),
                "lambda": damping,
                "rho": rho,
                "step": (1.0 if rng.random() < 0.7 else 0.8) if accepted else 0.0,
                "accepted": accepted,
                "gradient_frames": gradient_frames,
                "curvature_frames": curvature_frames,
                "gradient_norm": 0.4 * loss / i,
            }
        )
    return events


def sgd_events(count: int, optimiser: str = "sgd", floor: float = 1.32) -> list[Event]:
    """Events of a minibatch run; the rate is halved at its end, one epoch undone."""
    frames, rate, loss = {"gradient": 0, "curvature": 0, "loss": 0}, 0.1, 2.4
    events = [initial_event(4.78)]
    for i in range(1, count + 1):
        loss = floor + (loss - floor) * 0.72
        frames["gradient"] += 118_000
        frames["loss"] += 12_000
        rate *= 0.5 if i > 0.6 * count else 1.0
        events.append(
            {
                "iteration": i,
                "optimiser": optimiser,
                "train_loss": loss - 0.02 * i,
                "heldout_loss": loss,
                "heldout_frame_error": 1 - math.exp(-loss * 0.48),
                "seconds": 4.1 * i,
                "phase_seconds": {"training": 3.8, "heldout": 0.3},
                "work": float(3 * frames["gradient"] + frames["loss"]),
                "frames": dict(frames),
                "learning_rate": rate,
                "accepted": i != count - 1,
            }
        )
    return events


def initial_event(loss: float) -> Event:
    """What the loop records before the first iteration."""
    return {
        "iteration": 0,
        "phase_seconds": {},
        "train_loss": None,
        "heldout_loss": loss,
        "heldout_frame_error": 0.93,
        "seconds": 0.0,
        "work": 0.0,
        "frames": {"gradient": 0, "curvature": 0, "loss": 0},
    }


WER: dict[str, Any] = {
    "percent": 15.775,
    "words": 374,
    "errors": 59,
    "substitutions": 38,
    "deletions": 14,
    "insertions": 7,
    "utterances": 61,
    "interval": [11.9, 20.1],
}

WORST: list[dict[str, Any]] = [
    {
        "set": "test",
        "utterance": "en-voice-vm-<deleted>",
        "errors": 4,
        "words": 9,
        "alignment": [
            ["to", "to"],
            ["hear", "here"],
            ["the", None],
            ["next", "next"],
            ["message", "messages"],
            [None, "a"],
            ["press", "press"],
            ["six", "six"],
            ["now", "now"],
            ["please", "please"],
        ],
    },
    {
        "set": "dev",
        "utterance": "en-voice-not-of-this-set",
        "errors": 1,
        "words": 1,
        "alignment": [["one", None]],
    },
]

CONFIG = """
name: {name}
corpus: {{name: prompts, dir: /data/prompts, languages: [en, es], source: null}}
model: {{_target_: asr_hf.models.dnn.DNN, hidden: 512, layers: 3, activation: sigmoid}}
criterion: {{_target_: asr_hf.criteria.cross_entropy.CrossEntropy}}
solver: {{_target_: asr_hf.hf.solvers.flexible_cg.FlexibleConjugateGradient, max_iterations: 250}}
preconditioner: {{_target_: asr_hf.hf.preconditioners.lbfgs.LBFGSPreconditioner, pairs: 32}}
sampling: {{_target_: asr_hf.hf.sampling.geometric.GeometricSampling, gradient: 0.05}}
damping: {{_target_: asr_hf.hf.damping.LevenbergMarquardt, initial: 1.0}}
trainer:
  _target_: asr_hf.hf.hessian_free.HessianFree
  solver: {{only_in_the_trainer: 1}}
  stopping: {{max_iterations: 60}}
runtime: {{device: auto, threads: null, seed: 0, chunk_frames: 8192}}
"""


def write_run(
    folder: Path, events: list[Event], *, finished: bool = True, wer: bool = True
) -> Path:
    """Write a run folder of these events."""
    folder.mkdir(parents=True)
    lines = "".join(json.dumps(event) + "\n" for event in events)
    (folder / "events.jsonl").write_text(lines, encoding="utf-8")
    (folder / "config.yaml").write_text(CONFIG.format(name=folder.name), encoding="utf-8")
    result: dict[str, Any] = {}
    if finished:
        best = min(events, key=lambda event: event["heldout_loss"])
        last = events[-1]
        result = {
            "name": folder.name,
            "optimiser": last["optimiser"],
            "heldout_loss": best["heldout_loss"],
            "heldout_frame_error": best["heldout_frame_error"],
            "train_loss": best["train_loss"],
            "best_iteration": best["iteration"],
            "iterations": last["iteration"],
            "parameters": 872_055,
            "work": last["work"],
            "frames": last["frames"],
            "seconds": last["seconds"],
        }
    if wer:
        languages = {"en": WER, "es": WER | {"percent": 9.5, "interval": [7.0, 12.0]}}
        sets = {"dev": WER | {"languages": languages}, "test": WER | {"languages": languages}}
        result["wer"] = WER | {"set": "test", "sets": sets}
        scores = {"wer": result["wer"], "worst": WORST}
        (folder / "score.json").write_text(json.dumps(scores), encoding="utf-8")
    if result:
        (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
    return folder


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """Write a run folder under the test's own folder."""

    def make(name: str, events: list[Event], **options: bool) -> Path:
        return write_run(tmp_path / name, events, **options)

    return make
