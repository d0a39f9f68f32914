"""The English recordings themselves, fetched as a user's would be."""

from __future__ import annotations

import importlib
import os
from itertools import product
from pathlib import Path

import pytest

from asr_hf.data.kaldi_dir import DataDir
from asr_hf.hmm.graph.lexicon import read_lexicon
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.resources import load_recipe
from asr_hf.stages import prepare as stage

from ..typed import typed

load_recipe("prompts")
fetch = importlib.import_module("asr_hf_recipes.prompts.fetch")
split = importlib.import_module("asr_hf_recipes.prompts.split")
# Kept between runs; git ignores it.
CACHE = Path(__file__).parents[2] / ".cache"


@pytest.fixture(scope="module")
def recordings():
    try:
        return fetch.find_recordings("en", None, CACHE)
    except InputError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no recordings: {error}")


@pytest.fixture
def corpus(recordings, config_for):
    config = config_for("prompts", f"paths.cache={CACHE}")
    about = stage.run(typed(config))
    folder = Path(config.corpus.dir)
    sets = {name: DataDir.read(folder / name).utterances for name in ("train", "dev", "test")}
    return about["summary"]["en"], sets, read_lexicon(folder / "lang/en/lexicon.txt", "en")


def test_the_english_corpus(recordings, corpus):
    about, sets, lexicon = corpus
    assert recordings.digest == fetch._pinned("en")["recordings"]
    # Measured on the packages: 551 prompts, 24 minutes, 704 words but for respelt ones.
    assert sum(len(utterances) for utterances in sets.values()) == 551
    assert sum(row["minutes"] for row in about["sets"].values()) == pytest.approx(24.3, abs=0.3)
    assert about["dropped"] == {"no speech": 17, "transcript without recording": 1}
    assert 375 <= about["sets"]["test"]["words"] <= 375 + 31
    words = {name: [u.text.split() for u in utterances] for name, utterances in sets.items()}
    vocabulary = {w for sentences in words.values() for s in sentences for w in s}
    assert vocabulary == {w for w in lexicon.pronunciations if w != "<unk>"}
    assert {w for s in words["dev"] + words["test"] for w in s} <= {
        w for s in words["train"] for w in s
    }
    for held_out, known in product(words["dev"] + words["test"], words["train"]):
        assert not split.similar(held_out, known), (held_out, known)
    assert not any(split.similar(a, b) for a, b in product(words["dev"], words["test"]))
