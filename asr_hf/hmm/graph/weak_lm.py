"""Weak language models for lattices, of a corpus's own training text."""

from __future__ import annotations

from pathlib import Path

from asr_hf.data.fields import composed, read_lines, words_of
from asr_hf.hmm.graph.lexicon import UNKNOWN, Lexicon
from asr_hf.hmm.graph.ngram import estimate_ngram


def weak_lm(path: Path, lexicon: Lexicon, order: int) -> str:
    """The n-gram model of a text, over the words of a lexicon and no others, as ARPA text.

    Args:
        path: one sentence a line; those with words that nothing stands for are left out.
        lexicon: every word that may be recognised.
        order: 1 and up.

    Raises:
        InputError: there is no text.
    """
    lines = read_lines(path, "the language model's text", "run asr-hf prepare")
    sentences = [words_of(composed(line)) for line in lines]
    if UNKNOWN in lexicon:
        return estimate_ngram(sentences, lexicon.pronunciations, order)
    known = [words for words in sentences if all(word in lexicon for word in words)]
    text = estimate_ngram(known, lexicon.pronunciations, order)
    # A unigram is then all that the model says of unknown words.
    model = [line for line in text.split("\n") if UNKNOWN not in line.split("\t")]
    count = next(i for i, line in enumerate(model) if line.startswith("ngram 1="))
    model[count] = f"ngram 1={int(model[count].partition('=')[2]) - 1}"
    return "\n".join(model)
