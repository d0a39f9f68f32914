"""Decoding against an exhaustive search over all word sequences that fit the frames."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr_hf.hmm.decode import Decoder, SearchOptions, Setting

WIDE = SearchOptions(beam=1000.0, max_active=100_000)
LEFT_TO_RIGHT = np.array([[0.75, 0.25, 0, 0], [0, 0.75, 0.25, 0], [0, 0, 0.75, 0.25]])
PAUSE = np.array(
    [[0.25, 0.25, 0.25, 0.25, 0, 0]]
    + [[0, 0.25, 0.25, 0.25, 0.25, 0]] * 3
    + [[0, 0, 0, 0, 0.75, 0.25]]
)


def language_cost(words, toy):
    """Cost of a sentence: for each word the better of bigram and backoff, as the graph has both."""
    cost, history = 0.0, "<s>"
    for word in (*words, "</s>"):
        backed = toy.BACKOFFS.get(history, 0.0) + toy.UNIGRAMS[word]
        cost -= max(toy.BIGRAMS.get((history, word), -math.inf), backed) * math.log(10)
        history = word
    return cost


def chain_cost(phones, scores, first_pdf):
    """Least cost through the phones' states one after another, every frame in one state."""
    size = sum(len(PAUSE if p == "sil" else LEFT_TO_RIGHT) for p in phones)
    steps, pdfs, at = np.zeros((size, size + 1)), [], 0
    for phone in phones:
        block = PAUSE if phone == "sil" else LEFT_TO_RIGHT
        steps[at : at + len(block), at : at + len(block) + 1] += block
        pdfs += range(first_pdf[phone], first_pdf[phone] + len(block))
        at += len(block)
    with np.errstate(divide="ignore"):
        costs = -np.log(steps)
    best = np.full(size, math.inf)
    best[0] = -scores[0, pdfs[0]]
    for frame in scores[1:]:
        best = (best[:, None] + costs[:, :size]).min(0) - frame[pdfs]
    return (best + costs[:, size]).min()


def exhaustive(scores, toy, first_pdf, penalty):
    """The least cost and its words, over every sentence, pronunciation and pause that fits."""
    longest = len(scores) // 3
    best = (math.inf, ())
    for count in range(longest + 1):
        for words in itertools.product(toy.UNIGRAMS, repeat=count):
            if "</s>" in words:
                continue
            for variants in itertools.product(*(toy.PRONUNCIATIONS[w] for w in words)):
                if sum(map(len, variants)) > longest:
                    continue
                for pauses in itertools.product([0, 1], repeat=count + 1):
                    phones = ["sil"] * pauses[0]
                    for variant, pause in zip(variants, pauses[1:], strict=True):
                        phones += [*variant, *["sil"] * pause]
                    if not 0 < len(phones) <= longest:
                        continue
                    cost = chain_cost(phones, scores, first_pdf) + language_cost(words, toy)
                    cost += (count + 1) * math.log(2) + count * penalty
                    best = min(best, (cost, words))
    return best


@pytest.fixture
def toy():
    import importlib.util
    from pathlib import Path

    spec = importlib.util.spec_from_file_location("toy", Path(__file__).with_name("conftest.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def decoder(system, arpa):
    graph = system.languages["en"].decoding_graph(arpa, system.transitions)
    words = len(system.languages["en"].words) - 1
    return Decoder(system.transitions, graph, words, WIDE)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.integers(0, 2**32),
    st.integers(3, 10),
    st.sampled_from([0.0, 0.5, -1.0]),
    st.sampled_from([0.3, 1.0]),
)
def test_best_words_and_cost_equal_exhaustive_search(
    system, decoder, toy, seed, frames, penalty, scale
):
    random = np.random.default_rng(seed)
    scores = random.normal(0, 4, (frames, system.transitions.num_pdfs)).astype(np.float32)
    phones = system.phones
    first_pdf = {
        p: int(system.transitions.pdfs_of_phone(phones.id(p))[0]) for p in phones.symbols[1:]
    }
    cost, words = exhaustive(scale * scores, toy, first_pdf, penalty)
    path = decoder.decode(scores, Setting(scale, penalty), "u")
    symbols = system.languages["en"].words.symbols
    assert path.score == pytest.approx(-cost, abs=2e-3)
    assert tuple(symbols[w] for w in path.words) == words
    assert len(path.transition_ids) == frames
