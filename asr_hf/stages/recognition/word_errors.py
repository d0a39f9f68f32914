"""Helpers for the words of decoded utterances: which words count, their files and figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_text
from asr_hf.scoring.hub5 import scored_text
from asr_hf.scoring.wer import WerResult
from asr_hf.settings.settings import Settings

Words = dict[str, list[str]]


def scoring_rule(settings: Settings) -> Callable[[Sequence[str]], list[str]]:
    """Return the function that keeps the words that count, by the rules of `corpus.scoring`.

    Without `corpus.scoring`, all words count.

    Raises:
        InputError: there are no such rules.
    """
    name = settings.corpus.scoring
    if name not in (None, "hub5"):
        raise InputError(f"corpus.scoring: there are no rules {name!r}", expected="hub5, or null")
    return scored_text if name else list


def summary(result: WerResult) -> dict[str, Any]:
    """Return the figures of a scored set, for JSON."""
    return {
        "percent": result.percent,
        "words": result.words,
        "errors": result.errors,
        "substitutions": result.substitutions,
        "deletions": result.deletions,
        "insertions": result.insertions,
        "interval": list(result.interval),
    }


def only(words: Words, utterances: set[str]) -> Words:
    """Return the words of those `utterances` that have some, in the order of `words`."""
    return {u: words[u] for u in words if u in utterances}


def write_words(path: Path, words: Words) -> None:
    """Write a line for each utterance: its name and its words."""
    lines = (f"{name} {' '.join(spoken)}".rstrip() + "\n" for name, spoken in words.items())
    write_text(path, "".join(lines))
