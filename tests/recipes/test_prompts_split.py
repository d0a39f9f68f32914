from __future__ import annotations

import importlib
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_hf.runtime.resources import load_recipe

load_recipe("prompts")
module = importlib.import_module("asr_hf_recipes.prompts.split")

WORDS = ["press", "one", "to", "save", "your", "message", "delete", "again", "please", "goodbye"]
sentences = st.lists(
    st.lists(st.sampled_from(WORDS), min_size=1, max_size=7), min_size=2, max_size=40
).map(lambda drawn: {f"u{i:02d}": words for i, words in enumerate(drawn)})


def overlap(a: list[str], b: list[str]) -> float:
    """Jaccard overlap of character trigrams, written anew."""
    grams = [
        {padded[i : i + 3] for i in range(len(padded) - 2)}
        for padded in (f"  {' '.join(words)} " for words in (a, b))
    ]
    return len(grams[0] & grams[1]) / len(grams[0] | grams[1])


@settings(max_examples=50)
@given(sentences)
def test_a_split_holds_every_utterance_once(drawn):
    sets = module.split(drawn, 10, 10)
    assert list(sets) == ["train", "dev", "test"]
    assert sorted(u for members in sets.values() for u in members) == sorted(drawn)


@settings(max_examples=50)
@given(sentences)
def test_near_duplicates_never_straddle_sets(drawn):
    sets = module.split(drawn, 10, 10)
    for one, two in (("train", "dev"), ("train", "test"), ("dev", "test")):
        for a, b in product(sets[one], sets[two]):
            assert drawn[a] != drawn[b]
            assert overlap(drawn[a], drawn[b]) < 0.6


@settings(max_examples=50)
@given(sentences)
def test_held_out_words_are_in_training_and_sentences_are_no_single_words(drawn):
    sets = module.split(drawn, 10, 10)
    known = {w for u in sets["train"] for w in drawn[u]}
    for u in sets["dev"] + sets["test"]:
        assert set(drawn[u]) <= known
        assert len(drawn[u]) > 1


@settings(max_examples=50)
@given(sentences, st.randoms())
def test_the_split_hangs_on_sentences_not_on_their_order_or_names(drawn, random):
    shuffled = list(drawn.items())
    random.shuffle(shuffled)
    renamed = {f"x{i}": words for i, (_, words) in enumerate(shuffled)}
    texts = [
        {
            name: sorted(" ".join(given[u]) for u in members)
            for name, members in module.split(given, 10, 10).items()
        }
        for given in (drawn, dict(shuffled), renamed)
    ]
    assert texts[0] == texts[1] == texts[2]


def test_sets_reach_their_sizes_when_there_is_enough():
    random = Random(1)
    letters = "abcdefghijklmnopqrstuvwxyz"
    words = ["".join(random.sample(letters, 6)) for _ in range(30)]
    drawn = {f"u{i}": random.sample(words, 5) for i in range(80)}
    sets = module.split(drawn, 40, 20)
    sizes = {name: sum(len(drawn[u]) for u in members) for name, members in sets.items()}
    assert 40 <= sizes["test"] < 40 + 31
    assert 20 <= sizes["dev"] < 20 + 31


def test_a_large_group_stays_in_training():
    words = ["one", "two", "three", "four"]
    drawn = {f"many{i:02d}": [*words, words[i % 4]] for i in range(20)}
    drawn |= {f"other{i}": [w] for i, w in enumerate(words)}
    assert module.split(drawn, 10, 10)["test"] == []


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ("your message has been saved", "your message has been saved", True),
        ("press one to save", "please press one to save your message now or later", True),
        ("goodbye", "goodbye and thank you for calling", False),
        ("to exit the menu", "to exit this menu", True),
        ("the conference is locked", "the conference is unlocked", True),
        ("press one", "all operators are busy", False),
    ],
)
def test_near_duplicates_by_name(a, b, expected):
    assert module.similar(a.split(), b.split()) is expected
    assert module.similar(b.split(), a.split()) is expected


def test_a_chain_of_near_duplicates_is_one_group():
    drawn = {
        "a": ["press", "one", "to", "save", "your", "message"],
        "b": [
            "please",
            "press",
            "one",
            "to",
            "save",
            "your",
            "message",
            "or",
            "exit",
            "the",
            "menu",
        ],
        "c": ["exit", "the", "menu"],
        "d": ["goodbye"],
    }
    assert not module.similar(drawn["a"], drawn["c"])
    assert module.group(drawn) == [["a", "b", "c"], ["d"]]
