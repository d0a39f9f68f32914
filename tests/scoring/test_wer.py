"""Word error rates, their intervals and comparisons."""

from __future__ import annotations

import kaldialign
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_hf.runtime.errors import InputError
from asr_hf.scoring import bootstrap
from asr_hf.scoring.bootstrap import quantile_interval, resampled_percentages
from asr_hf.scoring.wer import pooled, score

Table = dict[str, list[str]]


def noisy(refs: Table, rate: float, seed: int) -> Table:
    """Recognise `refs`, getting a share `rate` of the words wrong."""
    rng = np.random.default_rng(seed)
    return {
        name: ["wrong" if rng.random() < rate else word for word in words]
        for name, words in refs.items()
    }


def corpus(utterances: int, seed: int = 0) -> Table:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 12, size=utterances)
    return {f"u{i:04d}": [f"w{j}" for j in range(n)] for i, n in enumerate(lengths)}


def test_hand_counted_example() -> None:
    refs = {"a": ["one", "two", "three"], "b": ["four"], "c": []}
    hyps = {"a": ["one", "too", "three", "three"], "b": [], "c": ["noise"]}
    result = score(refs, hyps)
    assert (result.substitutions, result.deletions, result.insertions) == (1, 1, 2)
    assert (result.errors, result.words, result.utterances) == (4, 4, 3)
    assert result.percent == 100.0


def test_perfect_recognition_has_a_zero_interval() -> None:
    refs = corpus(20)
    result = score(refs, refs)
    assert result.percent == 0.0
    assert result.interval == (0.0, 0.0)


def test_missing_hypotheses_are_named() -> None:
    refs = corpus(30)
    hyps = {name: refs[name] for name in list(refs)[:15]}
    with pytest.raises(InputError, match=r"15 of 30 .*u0015.* and 5 more"):
        score(refs, hyps)


def test_missing_hypotheses_count_as_deleted_when_asked() -> None:
    refs = {"a": ["one", "two"], "b": ["three"]}
    result = score(refs, {"b": ["three"]}, missing_as_deleted=True)
    assert (result.deletions, result.errors, result.words) == (2, 2, 3)


def test_unknown_hypotheses_are_named() -> None:
    with pytest.raises(InputError, match="stranger"):
        score({"a": ["one"]}, {"a": ["one"], "stranger": ["two"]})


@pytest.mark.parametrize("refs", [{}, {"a": []}])
def test_nothing_to_score_is_an_error(refs: Table) -> None:
    with pytest.raises(InputError, match="nothing to score"):
        score(refs, refs)


def test_pooling_equals_scoring_everything_at_once() -> None:
    refs = corpus(60)
    hyps = noisy(refs, 0.2, seed=1)
    names = list(refs)
    parts = [
        score({n: refs[n] for n in some}, {n: hyps[n] for n in some})
        for some in (names[:10], names[10:])
    ]
    whole = score(refs, hyps)
    assert pooled(parts) == whole
    assert np.array_equal(pooled(parts).utterance_errors, whole.utterance_errors)


def test_pooling_nothing_is_an_error() -> None:
    with pytest.raises(InputError):
        pooled([])


def test_interval_is_repeatable_and_follows_the_seed() -> None:
    refs = corpus(50)
    hyps = noisy(refs, 0.2, seed=1)
    assert score(refs, hyps).interval == score(refs, hyps).interval
    draws = [
        resampled_percentages(np.arange(50), np.full(50, 60), replications=10, seed=seed)
        for seed in (0, 1)
    ]
    assert not np.array_equal(draws[0], draws[1])


def test_draws_do_not_depend_on_how_they_are_cut_up(monkeypatch: pytest.MonkeyPatch) -> None:
    errors, words = np.arange(40), np.full(40, 50)
    whole = resampled_percentages(errors, words, replications=100)
    monkeypatch.setattr(bootstrap, "_DRAWS_AT_ONCE", 40 * 7)
    assert np.array_equal(whole, resampled_percentages(errors, words, replications=100))


def test_interval_agrees_with_kaldialign() -> None:
    refs = corpus(300)
    hyps = noisy(refs, 0.15, seed=1)
    theirs = kaldialign.bootstrap_wer_ci(list(refs.values()), list(hyps.values()))
    low, high = score(refs, hyps).interval
    # Theirs assumes a normal distribution, ours takes quantiles: close on 300 utterances.
    assert low == pytest.approx(100 * theirs["ci95min"], abs=0.25)
    assert high == pytest.approx(100 * theirs["ci95max"], abs=0.25)


def test_interval_holds_the_true_rate_about_19_times_in_20() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(200):
        words = rng.integers(1, 12, size=150)
        errors = rng.binomial(words, 0.2)
        draws = resampled_percentages(errors, words, replications=400, seed=trial)
        low, high = quantile_interval(draws)
        held += low <= 20.0 <= high
    assert 178 <= held <= 199


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 9)), min_size=1, max_size=20))
def test_resampled_rates_stay_within_the_utterances_rates(rows: list[tuple[int, int]]) -> None:
    errors, words = np.array(rows).T
    rates = 100.0 * errors / words
    draws = resampled_percentages(errors, words, replications=50)
    assert draws.shape == (50,)
    assert draws.min() >= rates.min() - 1e-9
    assert draws.max() <= rates.max() + 1e-9


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0])
def test_impossible_confidence_is_refused(confidence: float) -> None:
    with pytest.raises(InputError, match="out of range"):
        quantile_interval(np.arange(5.0), confidence=confidence)
