"""Weak language models for lattices, estimated from a corpus's own training text."""

from __future__ import annotations

from pathlib import Path

from asr_hf.data.fields import composed, read_lines, words_of
from asr_hf.hmm.graph.lexicon import UNKNOWN, Lexicon
from asr_hf.hmm.graph.ngram import estimate_ngram


def weak_lm(path: Path, lexicon: Lexicon, order: int) -> str:
    """Estimate the n-gram model of a text over exactly the words of a lexicon.

    Args:
        path: text with one sentence a line; without `<unk>` in the lexicon, sentences that have
            unknown words are left out.
        lexicon: the lexicon of every word that may be recognised.
        order: maximum length of n-grams, 1 and up.

    Returns:
        The model as ARPA text.

    Raises:
        InputError: there is no text.
    """
    lines = read_lines(path, "the language model's text", "run asr-hf prepare")
    sentences = [words_of(composed(line)) for line in lines]
    if UNKNOWN in lexicon:
        return estimate_ngram(sentences, lexicon.pronunciations, order)
    covered = [words for words in sentences if all(word in lexicon for word in words)]
    text = estimate_ngram(covered, lexicon.pronunciations, order)
    # A unigram is then all that the model says of unknown words.
    model = [line for line in text.split("\n") if UNKNOWN not in line.split("\t")]
    count = next(i for i, line in enumerate(model) if line.startswith("ngram 1="))
    model[count] = f"ngram 1={int(model[count].partition('=')[2]) - 1}"
    return "\n".join(model)
