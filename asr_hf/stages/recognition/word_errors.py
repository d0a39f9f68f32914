"""The words of decoded utterances: which of them count, how they are written and summed up."""

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
    """Choose which words count as errors: those that `corpus.scoring` leaves, or all.

    Returns:
        What leaves those of an utterance that count.

    Raises:
        InputError: there are no such rules.
    """
    name = settings.corpus.scoring
    if name not in (None, "hub5"):
        raise InputError(f"corpus.scoring: there are no rules {name!r}", expected="hub5, or null")
    return scored_text if name else list


def summary(result: WerResult) -> dict[str, Any]:
    """The numbers of a scored set, for JSON."""
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
    """The words of some utterances."""
    return {u: words[u] for u in words if u in utterances}


def write_words(path: Path, words: Words) -> None:
    """Write a line for each utterance: its name and its words."""
    write_text(
        path, "".join(f"{u} {' '.join(found)}".rstrip() + "\n" for u, found in words.items())
    )
