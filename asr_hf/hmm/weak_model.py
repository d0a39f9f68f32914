"""Weak language models for lattices, of a corpus's own training text."""

from __future__ import annotations

from pathlib import Path

from asr_hf.hmm.lexicon import UNKNOWN, Lexicon
from asr_hf.hmm.ngram import estimate_ngram
from asr_hf.runtime.errors import InputError


def weak_model(path: Path, lexicon: Lexicon, order: int) -> str:
    """The n-gram model of a text, over the words of a lexicon and no others, as ARPA text.

    Args:
        path: one sentence a line; those with words that nothing stands for are left out.
        lexicon: every word that may be recognised.
        order: 1 and up.

    Raises:
        InputError: there is no text.
    """
    try:
        sentences = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: the language model's text cannot be read: {error}",
            expected="one sentence a line",
            remedy="run asr-hf prepare",
        ) from error
    if UNKNOWN in lexicon:
        return estimate_ngram(sentences, lexicon.pronunciations, order)
    known = [words for words in sentences if all(word in lexicon for word in words)]
    text = estimate_ngram(known, lexicon.pronunciations, order)
    # A unigram is then all that the model says of unknown words.
    lines = [line for line in text.split("\n") if UNKNOWN not in line.split("\t")]
    count = next(i for i, line in enumerate(lines) if line.startswith("ngram 1="))
    lines[count] = f"ngram 1={int(lines[count].partition('=')[2]) - 1}"
    return "\n".join(lines)
