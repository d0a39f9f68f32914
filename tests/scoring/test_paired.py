"""Word error rates of several systems on the same utterances."""

from __future__ import annotations

import pytest

from asr_hf.runtime.errors import InputError
from asr_hf.scoring.paired import PairedBootstrap, PairedComparison
from asr_hf.scoring.wer import score

from .test_wer import Table, corpus, noisy


def compared(refs: Table, *systems: Table) -> PairedComparison:
    return PairedBootstrap([score(refs, hyps) for hyps in systems]).between(0, 1)


def test_a_clear_difference_is_seen() -> None:
    refs = corpus(200)
    better, worse = noisy(refs, 0.05, seed=1), noisy(refs, 0.2, seed=2)
    found = compared(refs, worse, better)
    assert found.difference == pytest.approx(
        score(refs, better).percent - score(refs, worse).percent
    )
    assert found.interval[0] < found.difference < found.interval[1] < 0
    assert found.beyond_chance and found.probability > 0.999
    assert compared(refs, better, worse).probability < 0.001


def test_it_is_sharper_than_separate_intervals() -> None:
    refs = corpus(200)
    a = noisy(refs, 0.2, seed=1)
    b = {name: list(words) for name, words in a.items()}
    for name in list(refs)[:10]:
        b[name] = refs[name]
    found = compared(refs, a, b)
    separate = score(refs, a).interval
    assert found.interval[1] - found.interval[0] < 0.5 * (separate[1] - separate[0])


def test_a_system_does_not_beat_itself() -> None:
    refs = corpus(30)
    hyps = noisy(refs, 0.3, seed=1)
    found = compared(refs, hyps, hyps)
    assert found == PairedComparison(0.0, (0.0, 0.0), 0.0) and not found.beyond_chance


def test_a_pair_has_the_same_figures_among_more_systems() -> None:
    refs = corpus(50)
    results = [score(refs, noisy(refs, 0.2, seed=n)) for n in range(4)]
    assert PairedBootstrap(results).between(3, 1) == PairedBootstrap(
        [results[3], results[1]]
    ).between(0, 1)


def test_systems_of_different_sets_are_refused() -> None:
    results = [score(refs, refs) for refs in (corpus(20), corpus(21))]
    with pytest.raises(InputError, match="not scored on the same utterances"):
        PairedBootstrap(results)
    with pytest.raises(InputError):
        PairedBootstrap([])
