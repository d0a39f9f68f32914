"""N-gram language models over a closed vocabulary, as ARPA text."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable

from asr_hf.runtime.errors import InputError

Ngram = tuple[str, ...]
BOS, EOS, UNK = "<s>", "</s>", "<unk>"


def estimate_ngram(sentences: Iterable[list[str]], vocabulary: Collection[str], order: int) -> str:
    """Estimate an interpolated Kneser-Ney model (Chen & Goodman 1999, section 3).

    One absolute discount an order, n1 / (n1 + 2 n2); unigrams interpolate with a uniform
    distribution, so that every word of the vocabulary, `</s>` and `<unk>` has a probability.

    Args:
        sentences: sentences as lists of words.
        vocabulary: every word that may be recognised; words of sentences beyond it are `<unk>`.
        order: maximum length of n-grams, 1 and up.

    Returns:
        The text of the ARPA file.

    Raises:
        InputError: the order is not at least 1.
    """
    if order < 1:
        raise InputError(f"lm.order: {order} is no order of an n-gram model", expected="1 or more")
    return _arpa(*interpolated(sentences, vocabulary, order))


def interpolated(
    sentences: Iterable[list[str]], vocabulary: Collection[str], order: int
) -> tuple[list[dict[Ngram, float]], list[dict[Ngram, float]]]:
    """Estimate the model that `estimate_ngram` writes.

    Args:
        sentences: sentences as lists of words.
        vocabulary: every word; words of sentences beyond it are `<unk>`.
        order: maximum length of n-grams, 1 and up.

    Returns:
        Probabilities of the n-grams seen, for each length; and back-off weights of their contexts,
        for each length but the last.
    """
    closed_vocabulary = {*vocabulary, UNK} - {BOS, EOS}
    padded = [
        (BOS, *(w if w in closed_vocabulary else UNK for w in sentence), EOS)
        for sentence in sentences
    ]
    counts = _adjusted_counts(padded, order)
    uniform = 1.0 / (len(closed_vocabulary) + 1)
    lower: dict[Ngram, float] = {(w,): uniform for w in [*closed_vocabulary, EOS]}
    probabilities: list[dict[Ngram, float]] = []
    backoffs: list[dict[Ngram, float]] = []
    for n in range(1, order + 1):
        estimates, weights = _interpolate(counts[n], lower if n == 1 else probabilities[-1], n)
        if n == 1:
            estimates = {w: estimates.get(w, weights.get((), 1.0) * p) for w, p in lower.items()}
        else:
            backoffs.append(weights)
        probabilities.append(estimates)
    return probabilities, backoffs


def _adjusted_counts(padded: list[Ngram], order: int) -> dict[int, Counter[Ngram]]:
    """Count n-grams: occurrences at the highest order; below it, contexts that they occur in.

    N-grams that start a sentence have no left context and keep their raw counts.

    Returns:
        The counts by order.
    """
    raw = {
        n: Counter(s[i : i + n] for s in padded for i in range(len(s) - n + 1))
        for n in range(1, order + 1)
    }
    del raw[1][(BOS,)]
    adjusted = {order: raw[order]}
    for n in range(order - 1, 0, -1):
        contexts = Counter(ngram[1:] for ngram in raw[n + 1])
        starts = {g: c for g, c in raw[n].items() if g[0] == BOS}
        adjusted[n] = Counter({g: c for g, c in contexts.items() if g[0] != BOS} | starts)
    return adjusted


def _interpolate(
    counts: Counter[Ngram], lower: dict[Ngram, float], n: int
) -> tuple[dict[Ngram, float], dict[Ngram, float]]:
    """Discount the counts of one order.

    Returns:
        Probabilities of the n-grams seen, and each context's back-off weight.
    """
    singletons = sum(c == 1 for c in counts.values())
    doubletons = sum(c == 2 for c in counts.values())
    discount = singletons / (singletons + 2 * doubletons) if singletons and doubletons else 0.5
    total: dict[Ngram, int] = defaultdict(int)
    kinds: dict[Ngram, int] = defaultdict(int)
    for ngram, count in counts.items():
        total[ngram[:-1]] += count
        kinds[ngram[:-1]] += 1
    backoff = {context: discount * kinds[context] / total[context] for context in total}
    probabilities = {
        ngram: (count - discount) / total[ngram[:-1]]
        + backoff[ngram[:-1]] * lower[ngram[1:] if n > 1 else ngram]
        for ngram, count in counts.items()
    }
    return probabilities, backoff


def _arpa(probabilities: list[dict[Ngram, float]], backoffs: list[dict[Ngram, float]]) -> str:
    sections = ["\\data\\"]
    tables = [dict(p) for p in probabilities]
    tables[0][(BOS,)] = 0.0
    sections += [f"ngram {n}={len(t)}" for n, t in enumerate(tables, start=1)]
    for n, entries in enumerate(tables, start=1):
        sections.append(f"\n\\{n}-grams:")
        weights = backoffs[n - 1] if n <= len(backoffs) else {}
        for ngram in sorted(entries):
            p = entries[ngram]
            line = f"{math.log10(p) if p > 0 else -99:.6f}\t{' '.join(ngram)}"
            if ngram in weights:
                line += f"\t{math.log10(weights[ngram]):.6f}"
            sections.append(line)
    return "\n".join([*sections, "\n\\end\\", ""])
