"""Archives of a toy lattice in Kaldi's formats, and its paths."""

from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path

from asr_hf.data.lattice import Lattice

# (state, arcs: (target, word, graph, acoustic, transition ids), final: (graph, acoustic, ids))
State = tuple[list[tuple[int, int, float, float, list[int]]], tuple[float, float, list[int]] | None]
TOY: list[State] = [
    ([(1, 7, 1.5, 20.0, [1, 2]), (2, 0, 0.5, 11.0, [3, 3, 4])], None),
    ([(2, 8, 0.25, 5.0, [5]), (3, 0, 0.125, -1.0, [])], None),
    ([], (2.0, 3.0, [6])),
    ([(4, 9, 0.0, 7.0, [9, 10])], None),
    ([], (1.0, 0.0, [])),
]
# Every reading: transition ids, words, graph and acoustic score in all.
PATHS = sorted(
    [
        ([1, 2, 5, 6], [7, 8], -3.75, -28.0),
        ([3, 3, 4, 6], [], -2.5, -14.0),
        ([1, 2, 9, 10], [7, 9], -2.625, -26.0),
    ]
)


def binary(states: list[State]) -> bytes:
    out = struct.pack("<i", 2125659606)
    for name in (b"vector", b"compactlattice44"):
        out += struct.pack("<i", len(name)) + name
    arcs = sum(len(a) for a, _ in states)
    out += struct.pack("<iiQqqq", 2, 0, 3, 0, len(states), arcs)

    def weight(graph: float, acoustic: float, ids: list[int]) -> bytes:
        return struct.pack(f"<ffi{len(ids)}i", graph, acoustic, len(ids), *ids)

    for leaving, final in states:
        out += weight(*(final or (math.inf, math.inf, []))) + struct.pack("<q", len(leaving))
        for target, word, graph, acoustic, ids in leaving:
            out += struct.pack("<ii", word, word) + weight(graph, acoustic, ids)
            out += struct.pack("<i", target)
    return out


def text(states: list[State]) -> bytes:
    lines = [""]
    for number, (leaving, final) in enumerate(states):
        for target, word, graph, acoustic, ids in leaving:
            weight = f"{graph:g},{acoustic:g},{'_'.join(map(str, ids))}"
            lines.append(f"{number}\t{target}\t{word}\t{weight}")
        if final:
            lines.append(f"{number}\t{final[0]:g},{final[1]:g},{'_'.join(map(str, final[2]))}")
    return "\n".join([*lines, "", ""]).encode()


def write(path: Path, entries: dict[str, bytes]) -> Path:
    path.write_bytes(gzip.compress(b"".join(f"{k} ".encode() + v for k, v in entries.items())))
    return path


def paths(lattice: Lattice) -> list[tuple[list[int], list[int], float, float]]:
    """All readings, by walking."""
    found = []
    finals = {int(f["state"]): float(f["graph"]) for f in lattice.finals}

    def walk(state: int, ids: list[int], words: list[int], g: float, a: float) -> None:
        if state in finals:
            found.append((ids, words, g + finals[state], a))
        for arc in lattice.arcs[lattice.arcs["source"] == state]:
            walk(
                int(arc["target"]),
                ids + [int(arc["label"])] * int(arc["label"] > 0),
                words + [int(arc["word"])] * int(arc["word"] > 0),
                g + float(arc["graph"]),
                a + float(arc["acoustic"]),
            )

    walk(0, [], [], 0.0, 0.0)
    return sorted(found)
