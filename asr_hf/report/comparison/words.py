"""Word error rates of several runs on the same test sets, with paired tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from asr_hf.scoring.paired import PairedBootstrap, PairedComparison
from asr_hf.scoring.wer import Transcripts, WerResult, score


@dataclass(frozen=True)
class Decoded:
    """A test set that a run has decoded.

    Args:
        refs: reference words of each utterance.
        hyps: hypothesis words of each utterance; all words of a missing one count as deleted.
        nist: word error rates of NIST's hubscr by the part of the set (percent); none without it.
    """

    refs: Transcripts
    hyps: Transcripts
    nist: Mapping[str, float]


@dataclass(frozen=True)
class SetComparison:
    """Word errors of several runs on one test set.

    Args:
        name: name of the set.
        note: in what it differs from another set of that name; empty where there is none.
        results: word errors of each run, by its label.
        nist: figures of NIST's tools of each run, by its label (see `Decoded`).
        reference: label of the run that the others are compared with.
        pairs: comparison of B with A, by the labels (A, B), for every two runs.
    """

    name: str
    note: str
    results: Mapping[str, WerResult]
    nist: Mapping[str, Mapping[str, float]]
    reference: str
    pairs: Mapping[tuple[str, str], PairedComparison]


def compare_words(
    decoded: Mapping[str, Mapping[str, Decoded]], reference: str | None = None
) -> list[SetComparison]:
    """Compare the words of runs, set by set.

    Runs whose references differ were tested on different sets, whatever their names: they stand
    apart, and each such set says so.

    Args:
        decoded: sets of each run by their names, by the label of the run.
        reference: label of the run that others are compared with; None, or a set without that
            run, takes the one with the fewest errors.

    Returns:
        The sets by name; of one name the set of most runs first.

    Raises:
        InputError: hypotheses are of other utterances than the references.
    """
    names = sorted({name for sets in decoded.values() for name in sets})
    return [found for name in names for found in _compare_named(name, decoded, reference)]


def _compare_named(
    name: str, decoded: Mapping[str, Mapping[str, Decoded]], reference: str | None
) -> list[SetComparison]:
    groups: list[dict[str, Decoded]] = []
    for label, sets in decoded.items():
        if name not in sets:
            continue
        fitting = (g for g in groups if _same(next(iter(g.values())).refs, sets[name].refs))
        if (group := next(fitting, None)) is None:
            groups.append(group := {})
        group[label] = sets[name]
    groups.sort(key=len, reverse=True)
    first = next(iter(groups[0].values())).refs
    notes = ["", *(_difference(first, next(iter(g.values())).refs) for g in groups[1:])]
    return [_compare_set(name, n, g, reference) for n, g in zip(notes, groups, strict=True)]


def _same(refs: Transcripts, others: Transcripts) -> bool:
    return refs.keys() == others.keys() and all(
        list(words) == list(others[name]) for name, words in refs.items()
    )


def _difference(refs: Transcripts, others: Transcripts) -> str:
    shared = refs.keys() & others.keys()
    changed = sum(list(refs[name]) != list(others[name]) for name in shared)
    return (
        f"another set of this name: {len(others)} utterances, of which {len(shared)} are among the "
        f"{len(refs)} of the first, {changed} of these with other words"
    )


def _compare_set(
    name: str, note: str, group: Mapping[str, Decoded], reference: str | None
) -> SetComparison:
    # In one order for all, so that utterances can be paired.
    refs = next(iter(group.values())).refs
    results = {
        label: score(refs, one.hyps, missing_as_deleted=True) for label, one in group.items()
    }
    labels = list(results)
    paired = PairedBootstrap(list(results.values()))
    pairs = {
        (a, b): paired.between(labels.index(a), labels.index(b))
        for a in labels
        for b in labels
        if a != b
    }
    nist = {label: one.nist for label, one in group.items() if one.nist}
    best = min(labels, key=lambda label: results[label].errors)
    chosen = reference if reference in results else best
    return SetComparison(name, note, results, nist, str(chosen), pairs)
