"""The transition model of an HMM system as a table: one line a transition id."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.fields import read_lines, words_of
from asr_hf.hmm.graph.lexicon import SymbolTable
from asr_hf.hmm.graph.transitions import TransitionModel
from asr_hf.runtime.errors import InputError


def transitions_text(transitions: TransitionModel, phones: SymbolTable) -> str:
    """Write the transition model as a table, one line a transition id."""
    lines = ["# transition phone state pdf kind log_prob\n"]
    columns = zip(
        transitions.phone_of,
        transitions.state_of,
        transitions.pdf_of,
        transitions.is_self_loop,
        transitions.log_probs,
        strict=True,
    )
    for number, (phone, state, pdf, loop, log_prob) in enumerate(columns):
        if number:
            kind = "loop" if loop else "forward"
            name = phones.symbols[int(phone)]
            # Nine digits bring a float32 back exactly.
            lines.append(f"{number} {name} {state} {pdf} {kind} {float(log_prob):.9g}\n")
    return "".join(lines)


def read_log_probs(path: str | os.PathLike[str]) -> NDArray[np.float32]:
    """Read the log probabilities from a table that `transitions_text` made.

    Returns:
        Natural logarithms [transition ids + 1], entry 0 unused.

    Raises:
        InputError: the file is missing or damaged.
    """
    try:
        lines = read_lines(path, "the transitions")[1:]
        return np.asarray([0.0, *(float(words_of(line)[5]) for line in lines)], np.float32)
    except (ValueError, IndexError) as error:
        raise InputError(
            f"{path}: cannot be read: {error}",
            expected="six columns, the last a log probability",
            remedy="remove the folder and run asr-hf align again",
        ) from error
