from __future__ import annotations

import math
import subprocess
import sys
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_hf.hmm.graph.ngram import estimate_ngram
from asr_hf.runtime.errors import InputError

VOCABULARY = ["a", "b", "c", "d"]
corpora = st.lists(st.lists(st.sampled_from([*VOCABULARY, "strange"]), max_size=6), max_size=12)


class Arpa:
    """Evaluates ARPA text by the definition of the format."""

    def __init__(self, text: str) -> None:
        self.counts: dict[int, int] = {}
        self.probability: dict[tuple[str, ...], float] = {}
        self.backoff: dict[tuple[str, ...], float] = {}
        order = 0
        for line in text.splitlines():
            if line.startswith("ngram "):
                n, _, count = line.removeprefix("ngram ").partition("=")
                self.counts[int(n)] = int(count)
            elif line.endswith("-grams:"):
                order = int(line[1:-7])
            elif order and "\t" in line:
                log_p, words, *weight = line.split("\t")
                ngram = tuple(words.split(" "))
                assert len(ngram) == order
                assert ngram not in self.probability
                self.probability[ngram] = 10 ** float(log_p)
                if weight:
                    self.backoff[ngram] = 10 ** float(weight[0])

    def __call__(self, word: str, history: tuple[str, ...]) -> float:
        if (*history, word) in self.probability:
            return self.probability[*history, word]
        return self.backoff.get(history, 1.0) * self(word, history[1:])


@settings(max_examples=40)
@given(corpora, st.integers(1, 4))
def test_probabilities_of_every_history_sum_to_one(sentences, order):
    model = Arpa(estimate_ngram(sentences, VOCABULARY, order))
    words = [*VOCABULARY, "<unk>", "</s>"]
    histories = [h for n in range(min(order, 3)) for h in product([*VOCABULARY, "<unk>"], repeat=n)]
    histories += [("<s>", *h) for h in histories if len(h) < order - 1]
    histories += [h[:-1] for h in model.probability]
    for history in histories:
        if len(history) < order:
            assert math.isclose(sum(model(w, history) for w in words), 1.0, abs_tol=2e-5)
    assert all(model.probability[w,] > 0 for w in words)


@settings(max_examples=40)
@given(corpora, st.integers(1, 4))
def test_the_text_keeps_the_format(sentences, order):
    text = estimate_ngram(sentences, VOCABULARY, order)
    model = Arpa(text)
    for n in range(1, order + 1):
        assert model.counts[n] == sum(len(ngram) == n for ngram in model.probability)
    assert all(len(ngram) < order for ngram in model.backoff), "none at the highest order"
    # A reader walks from an n-gram to its prefix and its suffix.
    for ngram in model.probability:
        if len(ngram) > 1:
            assert ngram[:-1] in model.probability
            assert ngram[:-1] in model.backoff
            assert ngram[1:] in model.probability
    assert text.startswith("\\data\\\n")
    assert text.endswith("\\end\\\n")


def test_a_bigram_model_worked_by_hand():
    # Bigrams: <s> a twice; a b, b </s>, a c, c </s> once: D2 = 4 / (4 + 2) = 2/3.
    # Contexts of a, b, c, </s>: 1, 1, 1, 2: D1 = 3 / (3 + 2) = 3/5; 5 words in all.
    model = Arpa(estimate_ngram([["a", "b"], ["a", "c"]], ["a", "b", "c"], 2))
    spread = 0.6 * 4 / 5 * 1 / 5
    a, end, unknown = 0.4 / 5 + spread, 1.4 / 5 + spread, spread
    expected = {
        ("a",): a,
        ("</s>",): end,
        ("<unk>",): unknown,
        ("<s>", "a"): (2 - 2 / 3) / 2 + 2 / 3 * 1 / 2 * a,
        ("a", "b"): (1 - 2 / 3) / 2 + 2 / 3 * 2 / 2 * a,
        ("b", "</s>"): (1 - 2 / 3) / 1 + 2 / 3 * 1 / 1 * end,
    }
    for ngram, value in expected.items():
        assert model.probability[ngram] == pytest.approx(value, rel=1e-5), ngram
    assert model("a", ("b",)) == pytest.approx(2 / 3 * a, rel=1e-5)


def test_a_unigram_model_worked_by_hand():
    # Counts a 3, b 1, </s> 2: D1 = 1 / (1 + 2) = 1/3; words a b <unk> </s>.
    model = Arpa(estimate_ngram([["a", "a"], ["a", "b"]], ["a", "b"], 1))
    spread = 1 / 3 * 3 / 6 * 1 / 4
    assert model.probability["a",] == pytest.approx((3 - 1 / 3) / 6 + spread, rel=1e-5)
    assert model.probability["<unk>",] == pytest.approx(spread, rel=1e-5)
    assert model.backoff == {}


def test_lower_orders_count_contexts_not_occurrences():
    # "francisco" is frequent but follows one word only.
    sentences = [["san", "francisco"]] * 6 + [["in", "town"], ["to", "town"], ["by", "town"]]
    vocabulary = {w for sentence in sentences for w in sentence}
    model = Arpa(estimate_ngram(sentences, vocabulary, 2))
    assert model("town", ("francisco",)) > model("francisco", ("francisco",))


def test_words_beyond_the_vocabulary_are_unknown():
    model = Arpa(estimate_ngram([["a", "zebra"]], ["a"], 2))
    assert ("a", "<unk>") in model.probability
    assert not any("zebra" in ngram for ngram in model.probability)


def test_the_model_hangs_on_nothing_but_its_sentences():
    sentences = [["a", "b"], ["c"], ["b", "b", "d"]]
    texts = {estimate_ngram(sentences, order, 3) for order in (VOCABULARY, VOCABULARY[::-1])}
    assert len(texts) == 1


def test_an_order_below_one_is_refused():
    with pytest.raises(InputError, match=r"lm\.order: 0"):
        estimate_ngram([["a"]], ["a"], 0)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_kaldilm_reads_it_and_agrees_on_every_word(tmp_path, order):
    sentences = [["a", "b", "a"], ["a", "c"], ["d"], ["b", "a", "b"], []]
    text = estimate_ngram(sentences, VOCABULARY, order)
    (tmp_path / "lm.arpa").write_text(text)
    symbols = ["<eps>", *VOCABULARY, "<unk>", "<s>", "</s>", "#0"]
    (tmp_path / "words.txt").write_text("".join(f"{w} {i}\n" for i, w in enumerate(symbols)))
    # In a process of its own: kaldilm ends the process when it refuses a file.
    done = subprocess.run(
        [sys.executable, "-m", "kaldilm", f"--read-symbol-table={tmp_path / 'words.txt'}",
         "--disambig-symbol=#0", f"--max-order={order}", str(tmp_path / "lm.arpa")],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    fst = Fst(done.stdout)
    model = Arpa(text)
    for sentence in [["a"], ["a", "b"], ["b", "a", "b"], ["d", "d"], ["<unk>", "c"]]:
        padded = ["<s>", *sentence, "</s>"]
        expected = -sum(
            math.log(model(w, tuple(padded[max(0, i - order + 1) : i])))
            for i, w in enumerate(padded[1:], start=1)
        )
        assert fst.cost([symbols.index(w) for w in sentence]) == pytest.approx(expected, abs=1e-3)


class Fst:
    """The cost of sentences in a grammar in text form; back-off arcs have input 0 or #0."""

    def __init__(self, text: str) -> None:
        self.arcs: dict[int, list[tuple[int, int, float]]] = {}
        self.finals: dict[int, float] = {}
        rows = [line.split() for line in text.splitlines() if line.strip()]
        self.start = int(rows[0][0])
        for row in rows:
            if len(row) <= 2:
                self.finals[int(row[0])] = float(row[1]) if len(row) == 2 else 0.0
            else:
                source, target, label = (int(x) for x in row[:3])
                weight = float(row[4]) if len(row) > 4 else 0.0
                self.arcs.setdefault(source, []).append((target, label, weight))

    def cost(self, labels: list[int], backoff: int = 8) -> float:
        return self._from(self.start, labels, backoff)

    def _from(self, state: int, labels: list[int], backoff: int) -> float:
        """As a back-off model is read: the back-off arc only when no arc has the word."""
        for target, label, weight in self.arcs.get(state, []):
            if labels and label == labels[0]:
                return weight + self._from(target, labels[1:], backoff)
        if not labels and state in self.finals:
            return self.finals[state]
        for target, label, weight in self.arcs.get(state, []):
            if label in (0, backoff):
                return weight + self._from(target, labels, backoff)
        return math.inf
