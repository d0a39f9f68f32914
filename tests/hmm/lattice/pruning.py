"""How far paths fall short of the best one, and what is left of a lattice without the worst."""

from __future__ import annotations

import math

import numpy as np

from asr_hf.data.lattice import Lattice
from asr_hf.hmm.lattice.lattice_paths import arc_scores
from asr_hf.hmm.search.raw_lattice import RawLattice, to_lattice


def slack(lattice: Lattice, acoustic_scale: float) -> np.ndarray:
    """How far the best path through each arc falls short of the best path of all."""
    scores = arc_scores(lattice, acoustic_scale)
    ahead = np.full(lattice.num_states, -math.inf)
    behind = ahead.copy()
    ahead[0] = 0.0
    behind[lattice.finals["state"]] = lattice.finals["graph"]
    arcs = list(zip(lattice.arcs["source"], lattice.arcs["target"], scores, strict=True))
    for source, target, score in arcs:
        ahead[target] = max(ahead[target], ahead[source] + score)
    for source, target, score in reversed(arcs):
        behind[source] = max(behind[source], behind[target] + score)
    return behind[0] - (ahead[lattice.arcs["source"]] + scores + behind[lattice.arcs["target"]])


def pruned(lattice: Lattice, acoustic_scale: float, beam: float) -> Lattice:
    """The lattice of the arcs whose best path is within `beam` of the best."""
    keep = slack(lattice, acoustic_scale) <= beam
    raw = RawLattice(0, lattice.num_states, lattice.arcs[keep], lattice.finals)
    return to_lattice(raw, lattice.utterance)
