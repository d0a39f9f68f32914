"""Chooses among the models of a run's iterations by their word errors."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import atomic_path, write_json

log = logging.getLogger(__name__)

MODEL_FILE = "model.safetensors"


def choose_model(
    run_dir: Path, tune: Callable[[Path], dict[str, Any]], limit: int
) -> dict[str, Any]:
    """Make the kept model with the fewest word errors on the tuning set the run's model.

    Each model is decoded with its own best weights; of equals, the earlier iteration wins. Sequence
    training needs this choice: its criterion goes on getting better when the words no longer do.
    Writes <run_dir>/decode/choice/chosen.json.

    Args:
        run_dir: run folder, which holds models/iteration-NNNN.safetensors.
        tune: returns the word errors of a model file under all weights (`best` and `tried`).
        limit: largest number of models that are tried, at equal distances from the first to the
            last.

    Returns:
        What `tune` returned for the chosen model.

    Raises:
        InputError: the run has kept no models.
    """
    models = sorted((run_dir / "models").glob("iteration-*.safetensors"))
    if not models:
        raise InputError(
            f"{run_dir / 'models'}: no models to choose from",
            expected="one of each iteration, as runtime.keep_models=true keeps them in training",
            remedy="decode.choose=0 takes the run's model as it is",
        )
    tried = np.linspace(0, len(models) - 1, min(limit, len(models))).round().astype(int)
    models = [models[number] for number in tried]
    rows, results = [], []
    for model in models:
        tuned = tune(model)
        results.append(tuned)
        errors = min(int(row["errors"]) for row in tuned["tried"])
        log.info("%s: %d word errors on %s", model.stem, errors, tuned["tuned_on"])
        rows.append({"model": model.name, "errors": errors, "best": tuned["best"]})
    best = min(range(len(rows)), key=lambda number: rows[number]["errors"])
    chosen = models[best]
    log.info("chosen: %s", chosen.stem)
    with atomic_path(run_dir / MODEL_FILE) as temporary:
        shutil.copyfile(chosen, temporary)
    chosen_file = run_dir / "decode" / "choice" / "chosen.json"
    write_json(chosen_file, {"chosen": chosen.name, "models": rows})
    return results[best]
