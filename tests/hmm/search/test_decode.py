"""Decoding against an exhaustive search over all word sequences that fit the frames."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asr_hf.hmm.graph import fst as fsts
from asr_hf.hmm.scores import AlignmentError
from asr_hf.hmm.search import batches
from asr_hf.hmm.search.decode import (
    Decoder,
    DecodingJob,
    SearchOptions,
    decode_all,
)
from asr_hf.hmm.search.rescore import SearchWeights
from asr_hf.hmm.search.search_graph import SearchGraph
from asr_hf.hmm.search.weight_choice import weight_grid

from .. import kaldi_decoders
from ..conftest import BACKOFFS, BIGRAMS, PRONUNCIATIONS, UNIGRAMS, random_scores

WIDE = SearchOptions(1000.0, 1000.0, None, None, acoustic_scale=0.5)
LEFT_TO_RIGHT = np.array([[0.75, 0.25, 0, 0], [0, 0.75, 0.25, 0], [0, 0, 0.75, 0.25]])
PAUSE = np.array(
    [[0.25, 0.25, 0.25, 0.25, 0, 0]]
    + [[0, 0.25, 0.25, 0.25, 0.25, 0]] * 3
    + [[0, 0, 0, 0, 0.75, 0.25]]
)


def language_cost(words):
    """Cost of a sentence: for each word the better of bigram and backoff, as the graph has both."""
    cost, history = 0.0, "<s>"
    for word in (*words, "</s>"):
        backed = BACKOFFS.get(history, 0.0) + UNIGRAMS[word]
        cost -= max(BIGRAMS.get((history, word), -math.inf), backed) * math.log(10)
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


def exhaustive(scores, first_pdf, penalty):
    """The least cost and its words, over every sentence, pronunciation and pause that fits."""
    longest = len(scores) // 3
    best = (math.inf, ())
    for count in range(longest + 1):
        for words in itertools.product(UNIGRAMS, repeat=count):
            if "</s>" in words:
                continue
            for variants in itertools.product(*(PRONUNCIATIONS[w] for w in words)):
                if sum(map(len, variants)) > longest:
                    continue
                for pauses in itertools.product([0, 1], repeat=count + 1):
                    phones = ["sil"] * pauses[0]
                    for variant, pause in zip(variants, pauses[1:], strict=True):
                        phones += [*variant, *["sil"] * pause]
                    if not 0 < len(phones) <= longest:
                        continue
                    cost = chain_cost(phones, scores, first_pdf) + language_cost(words)
                    cost += (count + 1) * math.log(2) + count * penalty
                    best = min(best, (cost, words))
    return best


@pytest.fixture
def search_graph(graph):
    return SearchGraph.of(fsts.arrays(graph))


@pytest.fixture
def decoder(system, search_graph):
    return Decoder(system.transitions, search_graph, WIDE)


def paths_of(decoder, scores, weights):
    (decoded,) = decoder.decode([("u", scores)], weights)
    return decoded.paths


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.integers(0, 2**32),
    st.integers(3, 10),
    st.sampled_from([0.0, 0.5, -1.0]),
    st.sampled_from([0.3, 1.0]),
)
def test_best_words_and_cost_equal_exhaustive_search(system, decoder, seed, frames, penalty, scale):
    random = np.random.default_rng(seed)
    scores = random.normal(0, 4, (frames, system.transitions.num_pdfs)).astype(np.float32)
    phones = system.phones
    first_pdf = {
        p: int(system.transitions.pdfs_of_phone(phones.id(p))[0]) for p in phones.symbols[1:]
    }
    cost, words = exhaustive(scale * scores, first_pdf, penalty)
    (path,) = paths_of(decoder, scores, [SearchWeights(scale, penalty)])
    symbols = system.languages["en"].words.symbols
    assert path.score == pytest.approx(-cost, abs=2e-3)
    assert tuple(symbols[w] for w in path.words) == words
    assert len(path.transition_ids) == frames


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda s: s[:, :-1], r"utt7: scores of shape \[12, 10\]"),
        (lambda s: s[:0], "utt7: no frames"),
        (lambda s: np.where(np.arange(12)[:, None] == 5, np.nan, s), "utt7: NaN .* frame 5"),
        (lambda s: np.where(np.arange(12)[:, None] == 3, -np.inf, s), "utt7: .*infinite.* frame 3"),
    ],
)
def test_bad_scores_are_refused_by_name(system, decoder, damage, message):
    scores = random_scores(system)
    assert scores.shape == (12, 11)
    with pytest.raises(AlignmentError, match=message):
        decoder.decode([("utt7", damage(scores))], [SearchWeights(1.0)])


def test_processes_give_what_one_process_gives(system, arpa, tmp_path):
    system.save(tmp_path)
    system.make_graphs(tmp_path, {"en": arpa})
    source = system.decoder_source(tmp_path, WIDE)
    jobs = [DecodingJob(f"u{i}", "en", random_scores(system, seed=i)) for i in range(40)]
    weights = [SearchWeights(1.0, 0.0), SearchWeights(0.5, 2.0)]
    one = list(decode_all(source, iter(jobs), weights, 1))
    two = list(decode_all(source, iter(jobs), weights, 2))
    words = [[[p.words for p in decoded.paths] for decoded in found] for found in (one, two)]
    assert words[0] == words[1]
    assert len(one) == len(jobs)
    assert all(len(decoded.paths) == 2 for decoded in one)


def test_all_weightsat_once_give_what_each_gives_alone(system, decoder):
    scores = random_scores(system, frames=20, seed=3)
    weights = weight_grid([0.2, 1.0], [1.0, 0.5], [0.0, 1.5, -1.0])
    together = paths_of(decoder, scores, weights)
    for setting, path in zip(weights, together, strict=True):
        (alone,) = paths_of(decoder, scores, [setting])
        assert alone.words == path.words
        assert alone.score == path.score


@pytest.mark.parametrize("seed", range(4))
def test_a_lattice_scored_anew_gives_what_a_search_for_each_weighting_finds(
    system, graph, search_graph, seed
):
    """The search for each has its penalty in the graph; the lattice is kept at one scale only."""
    words = len(system.languages["en"].words) - 1
    options = SearchOptions(60.0, 40.0, None, None, acoustic_scale=0.5)
    scores = random_scores(system, frames=30, seed=seed)
    tried = weight_grid([0.1, 0.5, 1.0], [1.0], [0.0, -2.0, 2.0])
    found = paths_of(Decoder(system.transitions, search_graph, options), scores, tried)
    assert len({tuple(path.words) for path in found}) > 2
    for setting, path in zip(tried, found, strict=True):
        penalised = kaldi_decoders.with_word_penalty(graph, setting.insertion_penalty, words)
        scale = setting.acoustic_scale
        anew = kaldi_decoders.best_path(system.transitions, penalised, scores, scale)
        assert path.words == anew.words
        assert path.score == pytest.approx(anew.score, abs=2e-3)


def test_the_scale_of_the_graph_is_that_of_the_others_turned_round(system, decoder):
    scores = random_scores(system, frames=20, seed=4)
    weights = [SearchWeights(0.4, 0.6, 0.5), SearchWeights(0.8, 1.2, 1.0)]
    halved, doubled = paths_of(decoder, scores, weights)
    assert halved.words == doubled.words
    assert halved.score == pytest.approx(doubled.score / 2, rel=1e-6)


def test_a_path_that_cannot_end_is_given_as_far_as_it_goes(system, search_graph):
    narrow = Decoder(system.transitions, search_graph, SearchOptions(1.0, 1.0, None, None, 1.0))
    # Two frames are too few for any word or pause.
    scores, weights = random_scores(system, frames=2), weight_grid([1.0], [1.0], [0.0, 1.0])
    (decoded,) = narrow.decode([("u", scores)], weights)
    assert [len(path.transition_ids) for path in decoded.paths] == [2, 2]
    assert not decoded.complete and decoded.frames == 2


def test_batches_have_a_limit_in_number_and_in_memory(monkeypatch):
    def sizes(frames):
        jobs = [DecodingJob("u", "en", np.zeros((n, 2), np.float32)) for n in frames]
        found = list(batches.batches(jobs))
        assert [job for batch in found for job in batch] == jobs
        return [len(batch) for batch in found]

    monkeypatch.setattr(batches, "_MAX_UTTERANCES", 3)
    monkeypatch.setattr(batches, "_MAX_BYTES", 80)
    assert sizes([1] * 7) == [3, 3, 1]
    assert sizes([4, 4, 4, 11, 1, 9, 2]) == [2, 1, 1, 2, 1]
    monkeypatch.setattr(batches, "_MAX_FRAMES", 5)
    assert sizes([4, 4, 1, 11, 1]) == [1, 2, 1, 1]
    assert sizes([]) == []
