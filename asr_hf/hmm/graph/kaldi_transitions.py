"""A transition model of asr-hf's own in the form of Kaldi's files."""

from __future__ import annotations

import numpy as np

from asr_hf.hmm.graph.transitions import TransitionModel
from asr_hf.kaldi.reader import KaldiReader
from asr_hf.kaldi.topology import Topology
from asr_hf.kaldi.transition_model import KaldiTransitionModel


def kaldi_transitions(transitions: TransitionModel) -> KaldiTransitionModel:
    """Return what Kaldi's `final.mdl` holds of a transition model; the numbers are the same."""
    reader = KaldiReader(transitions.topology.encode(), "the topology", binary=False)
    return KaldiTransitionModel(
        Topology.read(reader),
        np.array(transitions.states, np.int32),
        transitions.log_probs.astype(np.float64),
    )
