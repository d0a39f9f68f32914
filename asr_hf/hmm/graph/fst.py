"""Finite-state transducers: the part of kaldifst that lexicon, grammar and graphs need."""

from __future__ import annotations

import logging
import math
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from asr_hf.hmm.graph.arpa import write_plain
from asr_hf.hmm.graph.fst_file import (
    FstArrays,
    Labels,
    is_const_fst,
    read_vector_fst,
    to_vector_fst,
)
from asr_hf.hmm.graph.lexicon import SymbolTable
from asr_hf.hmm.kaldi import arpa_to_text, kaldifst
from asr_hf.runtime.errors import InputError, RunError
from asr_hf.runtime.files import atomic_path

log = logging.getLogger(__name__)

Fst = Any  # kaldifst.StdVectorFst; the library has no type stubs
Arc = tuple[int, int, int, int, float]

_REMEDY = "remove it and run asr-hf align"


def build(arcs: Iterable[Arc], final: Iterable[int], states: int, start: int = 0) -> Fst:
    """Make a transducer.

    Args:
        arcs: (from, to, input label, output label, probability) of each arc, 0 for epsilon.
        final: final states, with weight one.
        states: number of states.
        start: initial state.

    Returns:
        The transducer.
    """
    fst = kaldifst.StdVectorFst()
    for _ in range(states):
        fst.add_state()
    fst.start = start
    for source, target, ilabel, olabel, probability in arcs:
        arc = kaldifst.StdArc(ilabel, olabel, -math.log(probability), target)
        fst.add_arc(source, arc)
    for state in final:
        fst.set_final(state, 0.0)
    return fst


def grammar(arpa: str | os.PathLike[str], words: SymbolTable) -> Fst:
    """Read an ARPA n-gram model as a transducer, with `#0` on the input side of its backoff arcs.

    Args:
        arpa: the model's file.
        words: word table of the lexicon, with `#0`, `<s>` and `</s>`.

    Returns:
        The transducer, G.

    Raises:
        InputError: the file is not an ARPA model, or has words that the lexicon lacks.
    """
    with tempfile.TemporaryDirectory(prefix="asr-hf-") as folder:
        table, plain = Path(folder) / "words.txt", Path(folder) / "lm.arpa"
        table.write_text(words.text(), encoding="utf-8")
        with open(plain, "w", encoding="utf-8") as out:
            left_out = write_plain(arpa, words, out)
        if left_out:
            description = "n-grams with <unk> or words of no probability, which the lexicon lacks"
            log.info("%s: left out of the grammar: %d %s", os.fspath(arpa), left_out, description)
        text = arpa_to_text(plain, table, os.fspath(arpa))
    return sort(kaldifst.compile(s=text, acceptor=False), "ilabel")


def input_labels(fst: Fst) -> set[int]:
    """Collect every input label of a transducer."""
    states = range(fst.num_states)
    return {arc.ilabel for state in states for arc in kaldifst.ArcIterator(fst, state)}


def sort(fst: Fst, side: str) -> Fst:
    """Sort arcs by "ilabel" or "olabel", in place; every composition needs it."""
    kaldifst.arcsort(fst, sort_type=side)
    return fst


def compose(left: Fst, right: Fst) -> Fst:
    """Compose left ∘ right, sorting the arcs that are matched."""
    return kaldifst.compose(sort(left, "olabel"), sort(right, "ilabel"))


def optimise(fst: Fst, name: str) -> Fst:
    """Remove epsilons, determinise in the log semiring and minimise, in place.

    Args:
        fst: the transducer.
        name: name of the transducer in messages.

    Returns:
        The same transducer.

    Raises:
        RunError: the transducer cannot be determinised.
    """
    try:
        stopped = kaldifst.determinize_star(fst, use_log=True)
    except RuntimeError as error:
        raise RunError(f"{name}: cannot be determinised: {error}") from error
    if stopped:
        raise RunError(f"{name}: determinisation stopped before its end")
    kaldifst.minimize_encoded(fst)
    return fst


def loop_symbols(fst: Fst, ilabel: int, olabel: int) -> Fst:
    """Let `ilabel:olabel` loop at every state that is final or starts a word, in place."""
    kaldifst.add_self_loops(fst, isyms=[ilabel], osyms=[olabel])
    return fst


def remove_input_symbols(fst: Fst, symbols: Iterable[int], num_kept: int) -> Fst:
    """Turn the input `symbols` into epsilon; the labels 1 to num_kept stay.

    kaldifst lacks fstrmsymbols: a one-state transducer composed on the left does the same.

    Returns:
        A new transducer.
    """
    removed = set(symbols)
    keep = [(0, 0, i, i, 1.0) for i in range(1, num_kept + 1) if i not in removed]
    drop = [(0, 0, 0, symbol, 1.0) for symbol in sorted(removed)]
    return compose(build([*keep, *drop], [0], 1), fst)


def write(fst: Fst, path: str | os.PathLike[str]) -> None:
    """Write a transducer in OpenFst's binary form.

    Raises:
        RunError: the file cannot be written.
    """
    with atomic_path(path) as temporary:
        if not fst.write(str(temporary)):
            raise RunError(f"{path}: the graph cannot be written", remedy="check free space")


def read(path: str | os.PathLike[str], max_labels: Labels | None = None) -> Fst:
    """Read a transducer written by `write`, or a ConstFst, as Kaldi writes graphs.

    Args:
        path: the file.
        max_labels: the largest labels that it may have; any when None.

    Returns:
        The transducer, which can be changed.

    Raises:
        InputError: the file is missing or damaged, or has larger labels.
    """
    converted, _ = _checked(path, max_labels)
    if converted is None:
        fst = kaldifst.StdVectorFst.read(str(path))
    else:
        # The library reads files only.
        with tempfile.TemporaryDirectory(prefix="asr-hf-") as folder:
            copy = Path(folder) / "graph.fst"
            copy.write_bytes(converted)
            fst = kaldifst.StdVectorFst.read(str(copy))
    if fst is None:
        raise InputError(f"{path}: not a transducer, or cut short", remedy=_REMEDY)
    return fst


def read_arrays(path: str | os.PathLike[str], max_labels: Labels | None = None) -> FstArrays:
    """Read a transducer as `read` does, but as arrays.

    Returns:
        The arrays.

    Raises:
        InputError: the file is missing or damaged, or has larger labels.
    """
    return _checked(path, max_labels)[1]


def arrays(fst: Fst) -> FstArrays:
    """Copy a transducer into arrays."""
    # The library hands out arcs one by one, or all of them as a file.
    with tempfile.TemporaryDirectory(prefix="asr-hf-") as folder:
        path = Path(folder) / "graph.fst"
        write(fst, path)
        return read_arrays(path)


def _checked(
    path: str | os.PathLike[str], max_labels: Labels | None
) -> tuple[bytes | None, FstArrays]:
    """Read a file of either kind.

    Returns:
        The bytes of a VectorFst where the file is of the other kind, and the arrays.

    Raises:
        InputError: the file is missing or damaged, or has larger labels.
    """
    try:
        data = Path(path).read_bytes()
        converted = to_vector_fst(data) if is_const_fst(data) else None
        read = read_vector_fst(data if converted is None else converted)
    except OSError as error:
        reason = "no such graph" if isinstance(error, FileNotFoundError) else error.strerror
        raise InputError(f"{path}: {reason}", remedy="run asr-hf align") from error
    except ValueError as error:
        problem = f"{path}: not a transducer, or damaged: {error}"
        raise InputError(problem, remedy=_REMEDY) from error
    labels = read.labels
    if max_labels is not None and (
        labels.input > max_labels.input or labels.output > max_labels.output
    ):
        raise InputError(
            f"{path}: labels up to {labels.input} and {labels.output}",
            expected=f"at most {max_labels.input} transition ids and {max_labels.output} words",
            remedy=_REMEDY,
        )
    return converted, read
