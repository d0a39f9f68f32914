"""The path of the reference, for lattices that have lost it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.lattice import Lattice
from asr_hf.hmm.graph import fst as fsts
from asr_hf.hmm.graph.fst import Fst
from asr_hf.hmm.graph.transitions import TransitionModel
from asr_hf.hmm.lattice.lattice_paths import best_path
from asr_hf.hmm.scores import AlignmentError, Scores
from asr_hf.hmm.search.lattice_decoder import LatticeDecoder
from asr_hf.hmm.search.limits import SearchLimits
from asr_hf.hmm.search.raw_lattice import NoPathError, RawLattice, to_lattice, with_acoustics
from asr_hf.hmm.search.search_graph import SearchGraph

# Far beyond any graph score: a path that leaves the alignment in one frame shows it.
_OFF = -10_000.0
_BEAM = 200.0


def reference_path(
    transitions: TransitionModel,
    graph: Fst,
    words: Sequence[int],
    alignment: NDArray[np.int32],
    log_likelihoods: Scores,
    acoustic_scale: float,
    utterance: str,
) -> Lattice:
    """Find the path of the words through a decoding graph, along an alignment where it has one.

    Args:
        transitions: the transition model that the graph was made with.
        graph: a decoding graph.
        words: word ids of the reference.
        alignment: pdf of each frame [frames]; where the graph cannot follow it (it was made with
            another lexicon), the path is the best one under the scores.
        log_likelihoods: scores [frames, pdfs].
        acoustic_scale: weight of the scores.
        utterance: the utterance's name.

    Returns:
        A lattice of this one path.

    Raises:
        AlignmentError: the graph has no path for the words in so many frames.
    """
    acceptor = fsts.build(
        [(i, i + 1, word, word, 1.0) for i, word in enumerate(words)],
        [len(words)],
        len(words) + 1,
    )
    # Composing sorts arcs, each time into another order of equals; the search would see it.
    restricted = fsts.compose(graph.copy(), acceptor)
    if restricted.start < 0:
        raise AlignmentError(
            f"{utterance}: the graph has no path for its words",
            expected="words of the language model",
            remedy="check its transcript",
        )
    followed = np.full_like(log_likelihoods, _OFF)
    followed[np.arange(len(alignment)), alignment] = 0
    limits = SearchLimits(_BEAM, lattice_beam=1.0, max_active=None, max_arcs_per_frame=None)
    decoder = LatticeDecoder(transitions, SearchGraph.of(fsts.arrays(restricted)), limits)
    try:
        path = best_path(decoder.decode_one(utterance, followed, 1.0), 1.0)
        if path.arcs["acoustic"].min() == 0:
            return with_acoustics(path, log_likelihoods, transitions.pdf_of)
    except NoPathError:
        pass  # The alignment ends inside a phone, as one does that was trimmed.
    lattice = decoder.decode_one(utterance, log_likelihoods, acoustic_scale)
    return best_path(lattice, acoustic_scale)


def add_path(lattice: Lattice, path: Lattice) -> Lattice:
    """Add a path to a lattice, from the common start to a final state of its own."""
    arcs, finals = path.arcs.copy(), path.finals.copy()
    shift = lattice.num_states - 1
    arcs["source"] += np.where(arcs["source"] > 0, shift, 0)
    arcs["target"] += shift
    finals["state"] += shift
    raw = RawLattice(
        0,
        lattice.num_states + path.num_states - 1,
        np.concatenate([lattice.arcs, arcs]),
        np.concatenate([lattice.finals, finals]),
    )
    return to_lattice(raw, lattice.utterance)
