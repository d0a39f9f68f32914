"""Reads Kaldi's lattices (`lat.*.gz`), compact or not, binary or text."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from asr_hf.data.lattice import ARC, FINAL, Lattice
from asr_hf.hmm.search.raw_lattice import RawLattice, to_lattice
from asr_hf.kaldi.integer_table import table_key
from asr_hf.kaldi.reader import KaldiReader, file_contents

_MAGIC = struct.pack("<i", 2125659606)
# Arc types of OpenFst's header, and the least bytes of a state and of an arc.
_COMPACT, _PLAIN = "compactlattice44", "lattice4"
_STATE_BYTES, _ARC_BYTES = 16, 20
_SYMBOL_TABLES = 3
_WEIGHT = "graph,acoustic or graph,acoustic,transition_transition..."


@dataclass
class _LatticeBuilder:
    """Collects arcs and final states of one lattice; states are numbered as they come."""

    numbers: dict[int, int] = field(default_factory=dict)
    states: int = 0
    arcs: list[tuple[int, int, int, int, float, float]] = field(default_factory=list)
    finals: list[tuple[int, float]] = field(default_factory=list)

    def number(self, state: int) -> int:
        if state not in self.numbers:
            self.numbers[state] = self._new()
        return self.numbers[state]

    def _new(self) -> int:
        self.states += 1
        return self.states - 1

    def arc(
        self, source: int, target: int, word: int, cost: tuple[float, float], ids: Sequence[int]
    ) -> None:
        """Add an arc, or a chain of one for each frame; word and scores are on the first."""
        graph, acoustic = (0 - c for c in cost)
        for label in ids[:-1]:
            after = self._new()
            self.arcs.append((source, after, label, word, graph, acoustic))
            source, word, graph, acoustic = after, 0, 0.0, 0.0
        label = ids[-1] if len(ids) else 0
        self.arcs.append((source, target, label, word, graph, acoustic))

    def final(self, state: int, cost: tuple[float, float], ids: Sequence[int]) -> None:
        """Add a final state; where it takes frames or has an acoustic score, an arc to another."""
        if len(ids) or cost[1]:
            end = self._new()
            self.arc(state, end, 0, cost, ids)
            self.finals.append((end, 0.0))
        else:
            self.finals.append((state, 0 - cost[0]))

    def lattice(self, start: int) -> RawLattice:
        return RawLattice(
            start, self.states, np.array(self.arcs, ARC), np.array(self.finals, FINAL)
        )


def read_lattices(path: Path) -> Iterator[tuple[str, RawLattice]]:
    """Read the lattices of an archive, gzipped or not.

    Yields:
        The utterance and its lattice.

    Raises:
        InputError: the file cannot be read, or an entry is damaged; the message names it.
    """
    reader = KaldiReader(file_contents(path), str(path), binary=False)
    last = "the beginning of the file"
    while (key := table_key(reader, last)) is not None:
        if reader.data[reader.at : reader.at + 4] == _MAGIC:
            yield key, _binary(reader, key)
        else:
            yield key, _text(reader, key)
        last = f"the lattice of {key}"


def checked_lattice(raw: RawLattice, utterance: str, num_transition_ids: int) -> Lattice:
    """Bring a lattice into the form that training reads: trimmed, states in topological order.

    Returns:
        The lattice.

    Raises:
        InputError: it has no path or a circle, paths of different lengths, or unknown labels.
    """
    lattice = to_lattice(raw, utterance)
    lattice.check(num_transition_ids)
    return lattice


def _binary(reader: KaldiReader, key: str) -> RawLattice:
    """Read OpenFst's VectorFst: a header, then each state's final weight and arcs."""
    what = f"the lattice of {key}"
    begin = reader.at
    reader.take(len(_MAGIC), what)
    kind, arc_type = _name(reader, what), _name(reader, what)
    if kind != "vector" or arc_type not in (_COMPACT, _PLAIN):
        reader.fail(f"an FST {kind!r} of {arc_type!r} arcs", f"{what}, {_COMPACT}", begin)
    _, flags, _, start, states, _ = struct.unpack("<iiQqqq", reader.take(40, what))
    bytes_left = len(reader.data) - reader.at
    if flags & _SYMBOL_TABLES or not 0 <= states * _STATE_BYTES <= bytes_left or not start < states:
        reader.fail(f"{states} states with {bytes_left} bytes left, flags {flags}", what, begin)
    compact, builder = arc_type == _COMPACT, _LatticeBuilder()
    for state in range(states):
        builder.number(state)
    for state in range(states):
        cost, ids = _weight(reader, compact, what)
        if cost[0] != float("inf"):
            builder.final(state, cost, ids)
        (count,) = struct.unpack("<q", reader.take(8, what))
        if not 0 <= count * _ARC_BYTES <= len(reader.data) - reader.at:
            reader.fail(f"{count} arcs of state {state}", what)
        for _ in range(count):
            at = reader.at
            label, word = struct.unpack("<ii", reader.take(8, what))
            cost, ids = _weight(reader, compact, what)
            (target,) = struct.unpack("<i", reader.take(4, what))
            if not 0 <= target < states:
                reader.fail(f"an arc to state {target} of {states}", what, at)
            builder.arc(state, target, word, cost, ids if compact else [label][: label != 0])
    if start < 0:
        reader.fail("a lattice without a start", what, begin)
    return builder.lattice(start)


def _name(reader: KaldiReader, what: str) -> str:
    (length,) = struct.unpack("<i", reader.take(4, what))
    if not 0 <= length <= 100:
        reader.fail(f"a name of {length} letters", what)
    return reader.take(length, what).decode("ascii", errors="replace")


def _weight(reader: KaldiReader, compact: bool, what: str) -> tuple[tuple[float, float], list[int]]:
    graph, acoustic = struct.unpack("<ff", reader.take(8, what))
    ids: list[int] = []
    if compact:
        (count,) = struct.unpack("<i", reader.take(4, what))
        ids = np.frombuffer(reader.take(4 * count, what), "<i4").tolist()
    return (graph, acoustic), ids


def _text(reader: KaldiReader, key: str) -> RawLattice:
    """Read lines of arcs and final states up to an empty one."""
    builder, start = _LatticeBuilder(), -1
    end = reader.data.find(b"\n", reader.at)
    if end < 0 or reader.data[reader.at : end].strip():
        reader.fail("no line end after the key", f"the lattice of {key}")
    at = end + 1
    while True:
        end = reader.data.find(b"\n", at)
        line = reader.data[at : len(reader.data) if end < 0 else end]
        fields = line.split()
        if not fields:
            break
        reader.at = at
        try:
            first = _text_line(builder, [f.decode("ascii") for f in fields])
        except (ValueError, UnicodeDecodeError):
            expected = f"the lattice of {key}: from to word {_WEIGHT}, or state weight"
            reader.fail(repr(line[:60])[1:], expected)
        start = first if start < 0 else start
        if end < 0:
            at = len(reader.data)
            break
        at = end + 1
    if start < 0:
        reader.fail("no lines", f"the lattice of {key}")
    reader.at = min(at + 1, len(reader.data))
    return builder.lattice(start)


def _text_line(builder: _LatticeBuilder, fields: list[str]) -> int:
    """Add an arc or a final state.

    Returns:
        The number of its state.

    Raises:
        ValueError: the line is neither.
    """
    if len(fields) <= 2:
        state = builder.number(_id(fields[0]))
        cost, ids = _text_weight(fields[1]) if len(fields) == 2 else ((0.0, 0.0), [])
        builder.final(state, cost, ids)
        return state
    numbers, weight = fields, ""
    if "," in fields[-1]:
        *numbers, weight = fields
    if not 3 <= len(numbers) <= 4:
        raise ValueError(fields)
    cost, ids = _text_weight(weight) if weight else ((0.0, 0.0), [])
    word = _id(numbers[-1])
    if len(numbers) == 4:
        # Not compact: a transition id and a word.
        label = _id(numbers[2])
        ids = [label] if label else []
    source, target = (builder.number(_id(field)) for field in numbers[:2])
    builder.arc(source, target, word, cost, ids)
    return source


def _text_weight(text: str) -> tuple[tuple[float, float], list[int]]:
    graph, acoustic, *ids = text.split(",")
    if len(ids) > 1:
        raise ValueError(text)
    inside = ids[0].split("_") if ids and ids[0] else []
    return (float(graph), float(acoustic)), [_id(transition) for transition in inside]


def _id(text: str) -> int:
    # Python would read 1_2 as 12.
    if not text.isascii() or not text.isdecimal() or int(text) >= 2**31:
        raise ValueError(text)
    return int(text)
