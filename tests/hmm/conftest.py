"""A toy language: four words, two phones, a bigram model with backoff."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from asr_hf.hmm.graph.lexicon import Lexicon
from asr_hf.hmm.system import HmmSystem

PRONUNCIATIONS = {
    "ax": (("en_a", "en_x"),),
    "a": (("en_a",),),
    "eh": (("en_a",),),
    "x": (("en_x",), ("en_x", "en_a")),
}
UNIGRAMS = {"ax": -0.7, "a": -0.5, "eh": -0.9, "x": -0.6, "</s>": -0.4}
BACKOFFS = {"<s>": -0.2, "ax": -0.1, "a": -0.35, "eh": 0.0, "x": -0.25}
BIGRAMS = {("<s>", "a"): -0.9, ("a", "x"): -0.15, ("x", "a"): -0.3, ("x", "</s>"): -0.1}


def arpa_text() -> str:
    unigrams = [f"-99\t<s>\t{BACKOFFS['<s>']}"]
    unigrams += [
        f"{p}\t{word}" + (f"\t{BACKOFFS[word]}" if word in BACKOFFS else "")
        for word, p in UNIGRAMS.items()
    ]
    bigrams = [f"{p}\t{first} {second}" for (first, second), p in BIGRAMS.items()]
    counts = [f"ngram 1={len(unigrams)}", f"ngram 2={len(bigrams)}"]
    lines = ["\\data\\", *counts, "", "\\1-grams:", *unigrams, "", "\\2-grams:", *bigrams]
    return "\n".join([*lines, "", "\\end\\", ""])


@pytest.fixture
def lexicon() -> Lexicon:
    return Lexicon("en", PRONUNCIATIONS)


@pytest.fixture
def arpa(tmp_path: Path) -> Path:
    path = tmp_path / "lm.arpa"
    path.write_text(arpa_text())
    return path


@pytest.fixture
def system(lexicon: Lexicon) -> HmmSystem:
    return HmmSystem.create([lexicon])


def pdf_scores(pdfs: np.ndarray, num_pdfs: int, wrong: float = -20.0) -> np.ndarray:
    """Log likelihoods of 0 for the given pdf of each frame and `wrong` elsewhere."""
    scores = np.full((len(pdfs), num_pdfs), wrong, np.float32)
    scores[np.arange(len(pdfs)), pdfs] = 0
    return scores


@pytest.fixture
def scores_for():
    return pdf_scores


@pytest.fixture
def graph(system: HmmSystem, arpa: Path):
    return system.languages["en"].decoding_graph(arpa, system.transitions)


def random_scores(system: HmmSystem, frames: int = 12, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(0, 4, (frames, system.transitions.num_pdfs)).astype(np.float32)
