"""The model of a run chosen by word errors."""

from __future__ import annotations

import json

import pytest

from asr_hf.runtime.errors import InputError
from asr_hf.stages.recognition.select_checkpoint import choose_model


def tuned(errors):
    best = {"acoustic_scale": 0.1, "insertion_penalty": 0.0, "lm_scale": 1.0}
    return {"tuned_on": "dev", "best": best, "tried": [{"errors": e} for e in errors]}


def test_the_fewest_errors_win_and_of_equals_the_earlier(tmp_path):
    (tmp_path / "models").mkdir()
    table = {0: [9, 8], 1: [7, 5], 2: [5, 6], 10: [30, 6]}
    for number in table:
        path = tmp_path / "models" / f"iteration-{number:04d}.safetensors"
        path.write_bytes(f"model {number}".encode())
    (tmp_path / "model.safetensors").write_bytes(b"before")
    asked = []

    def tune(path):
        asked.append(path.name)
        return tuned(table[int(path.stem.rpartition("-")[2])])

    assert choose_model(tmp_path, tune, 9) == tuned([7, 5])
    assert len(asked) == 4
    assert (tmp_path / "model.safetensors").read_bytes() == b"model 1"
    written = json.loads((tmp_path / "decode" / "choice" / "chosen.json").read_text())
    assert written["chosen"] == "iteration-0001.safetensors"
    assert [row["errors"] for row in written["models"]] == [8, 5, 5, 6]


@pytest.mark.parametrize(
    ("most", "numbers"), [(2, [0, 10]), (3, [0, 5, 10]), (5, [0, 2, 5, 8, 10]), (99, [*range(11)])]
)
def test_few_of_many_models_are_spread_from_first_to_last(tmp_path, most, numbers):
    (tmp_path / "models").mkdir()
    for number in range(11):
        (tmp_path / "models" / f"iteration-{number:04d}.safetensors").write_bytes(b"")
    asked = []

    def tune(path):
        asked.append(int(path.stem.rpartition("-")[2]))
        return tuned([1])

    choose_model(tmp_path, tune, most)
    assert asked == numbers


def test_a_run_that_kept_no_models_is_refused(tmp_path):
    with pytest.raises(InputError, match="no models to choose from"):
        choose_model(tmp_path, tuned, 9)
