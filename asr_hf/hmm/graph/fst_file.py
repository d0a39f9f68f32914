"""Reads files of transducers, and checks them before the libraries in C++ read them.

These take memory for whatever sizes a file declares, and follow its arcs without looking.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MAGIC = struct.pack("<i", 2125659606)
_NAMES = ("vector", "standard")
_CONST = b"".join(struct.pack("<i", len(n)) + n.encode() for n in ("const", "standard"))
# Properties of kinds of files, not of a transducer: whether it can grow.
_KIND, _GROWS = 0b111, 0b011
_VERSION, _ALIGNED_VERSION, _ALIGNED = 2, 1, 4
_CONST_STATE = np.dtype(
    [("final", "<f4"), ("first", "<u4"), ("arcs", "<u4"), ("epsilons", "<u4", 2)]
)
_HEADER = struct.Struct("<iiQqqq")
_SYMBOL_TABLES = 3
_COUNT = struct.Struct("<q")
# Of a state: final weight and number of arcs; of an arc: labels, weight, next state.
_STATE_WORDS, _ARC_WORDS = 3, 4


@dataclass(frozen=True)
class Labels:
    """The largest labels of a transducer; 0 where it has no arcs."""

    input: int
    output: int


@dataclass(frozen=True)
class FstArrays:
    """A transducer as arrays.

    Attributes:
        start: the initial state.
        counts: number of arcs of each state [S].
        arcs: input label, output label, bits of the float32 cost, and next state of each arc
            [A, 4], int32, in the order of the states that they leave.
        finals: cost of ending in each state [S], float32, infinity where no path may end.
    """

    start: int
    counts: NDArray[np.int64]
    arcs: NDArray[np.int32]
    finals: NDArray[np.float32]

    @property
    def labels(self) -> Labels:
        """The largest labels."""
        if not len(self.arcs):
            return Labels(0, 0)
        return Labels(int(self.arcs[:, 0].max()), int(self.arcs[:, 1].max()))


def read_vector_fst(data: bytes) -> FstArrays:
    """Read the file of an OpenFst VectorFst over standard arcs, and check it.

    Returns:
        The transducer.

    Raises:
        ValueError: it is of another kind, cut short or damaged.
    """
    at = 0
    if data[: len(_MAGIC)] != _MAGIC:
        raise ValueError("not a transducer of OpenFst")
    at += len(_MAGIC)
    for expected in _NAMES:
        piece = struct.pack("<i", len(expected)) + expected.encode()
        if data[at : at + len(piece)] != piece:
            raise ValueError(f"not a {' '.join(_NAMES)} transducer")
        at += len(piece)
    if len(data) < at + _HEADER.size:
        raise ValueError("cut short")
    _, flags, _, start, states, _ = _HEADER.unpack_from(data, at)
    at += _HEADER.size
    words_left = (len(data) - at) // 4
    if (
        flags & _SYMBOL_TABLES
        or not 0 <= states <= words_left // _STATE_WORDS
        or not 0 <= start < states
    ):
        raise ValueError(f"{states} states from {start} on, flags {flags}, in {len(data)} bytes")
    body = np.frombuffer(data, "<i4", words_left, at)
    counts, places = _arc_places(data, at, states)
    arcs = body[places[:, None] + np.arange(_ARC_WORDS)]
    before = np.cumsum(counts) - counts
    finals = body[_STATE_WORDS * np.arange(states) + _ARC_WORDS * before].view("<f4")
    if len(arcs) and (arcs[:, :2].min() < 0 or arcs[:, 3].min() < 0 or arcs[:, 3].max() >= states):
        raise ValueError(f"arcs with negative labels, or to none of its {states} states")
    return FstArrays(start, counts, arcs, finals)


def _arc_places(data: bytes, at: int, states: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count the arcs of each state, and find where each begins, in words from byte `at` on."""
    max_arcs = (len(data) - at) // 4
    firsts, counts = np.zeros(states, np.int64), np.zeros(states, np.int64)
    place = 0
    for state in range(states):
        if place + _STATE_WORDS > max_arcs:
            raise ValueError(f"cut short at state {state} of {states}")
        (count,) = _COUNT.unpack_from(data, at + 4 * place + 4)
        place += _STATE_WORDS
        if not 0 <= count <= (max_arcs - place) // _ARC_WORDS:
            raise ValueError(f"{count} arcs of state {state}")
        firsts[state], counts[state] = place, count
        place += _ARC_WORDS * count
    before = np.cumsum(counts) - counts
    within = np.arange(counts.sum()) - np.repeat(before, counts)
    places: NDArray[np.int64] = np.repeat(firsts, counts) + _ARC_WORDS * within
    return counts, places


def is_const_fst(data: bytes) -> bool:
    """Whether this is the file of a ConstFst, as Kaldi's mkgraph.sh leaves graphs."""
    return data.startswith(_MAGIC + _CONST)


def to_vector_fst(data: bytes) -> bytes:
    """Convert the file of a ConstFst into that of the equal VectorFst; `checked` checks it further.

    Returns:
        The bytes of the VectorFst's file.

    Raises:
        ValueError: it is cut short or damaged.
    """
    at = len(_MAGIC) + len(_CONST)
    if len(data) < at + _HEADER.size:
        raise ValueError("cut short")
    version, flags, properties, start, states, arcs = _HEADER.unpack_from(data, at)
    at += _HEADER.size
    aligned = bool(flags & _ALIGNED) or version == _ALIGNED_VERSION
    if flags & _SYMBOL_TABLES or min(states, arcs) < 0 or max(states, arcs) > len(data):
        raise ValueError(f"{states} states, {arcs} arcs, flags {flags}, in {len(data)} bytes")
    at += -at % 16 if aligned else 0
    middle = at + states * _CONST_STATE.itemsize
    middle += -middle % 16 if aligned else 0
    if len(data) < middle + 4 * _ARC_WORDS * arcs:
        raise ValueError(f"cut short: {states} states and {arcs} arcs in {len(data)} bytes")
    table = np.frombuffer(data, _CONST_STATE, states, at)
    counts = table["arcs"].astype(np.int64)
    before = np.cumsum(counts) - counts
    if counts.sum() != arcs or (table["first"][counts > 0] != before[counts > 0]).any():
        raise ValueError(f"states whose arcs are not those of the file, {arcs}")
    places = _STATE_WORDS * np.arange(states) + _ARC_WORDS * before
    words = np.zeros(_STATE_WORDS * states + _ARC_WORDS * arcs, "<i4")
    words[places] = table["final"].view("<i4") if states else 0
    words[places + 1] = counts
    within = np.arange(arcs) - np.repeat(before, counts)
    firsts = np.repeat(places + _STATE_WORDS, counts) + _ARC_WORDS * within
    body = np.frombuffer(data, "<i4", _ARC_WORDS * arcs, middle).reshape(-1, _ARC_WORDS)
    words[firsts[:, None] + np.arange(_ARC_WORDS)] = body
    names = b"".join(struct.pack("<i", len(n)) + n.encode() for n in _NAMES)
    header = _HEADER.pack(_VERSION, 0, properties & ~_KIND | _GROWS, start, states, 0)
    return _MAGIC + names + header + words.tobytes()
