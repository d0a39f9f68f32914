"""Training a monophone GMM-HMM from nothing but transcripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm.alignment.mixtures import Passes, train_mixtures
from asr_hf.hmm.alignment.training_set import TrainingSet
from asr_hf.hmm.gmm.gmm import Gmm
from asr_hf.hmm.graph.transitions import TransitionModel
from asr_hf.runtime.skips import SkipList

# Kaldi's schedule for monophones: often while the model changes fast, then ever less.
REALIGN = frozenset([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 23, 26, 29, 32, 35, 38])


@dataclass(frozen=True)
class FlatStartOptions:
    """Settings of the flat start.

    Attributes:
        iterations: number of EM passes; the alignment is renewed on Kaldi's schedule.
        gaussians: target number of Gaussians in all mixtures together.
        seed: seed of the perturbations of split Gaussians.
    """

    iterations: int = 40
    gaussians: int = 1000
    seed: int = 0


def equal_alignment(
    transitions: TransitionModel, phones: Sequence[int], num_frames: int
) -> NDArray[np.int32]:
    """Spread the frames of one utterance evenly over the pdfs of its phones.

    Args:
        transitions: the monophones' transition model.
        phones: phone ids, one pronunciation a word, with silence at both ends.
        num_frames: number of frames to spread.

    Returns:
        The pdf id of each frame [frames].
    """
    pdfs = np.concatenate([transitions.pdfs_of_phone(phone) for phone in phones])
    return pdfs[np.arange(num_frames) * len(pdfs) // num_frames].astype(np.int32)


def flat_start(training: TrainingSet, options: FlatStartOptions, skips: SkipList) -> Gmm:
    """Train GMMs and transition probabilities on unaligned utterances.

    The first alignment spreads the frames evenly; later ones are Viterbi alignments of the model
    so far, while mixtures grow towards `options.gaussians`.

    Args:
        training: the training set; its transition model is updated in place.
        options: settings of the flat start.
        skips: receives the utterances that could not be aligned in the last realignment.

    Returns:
        The trained mixtures.
    """
    transitions = training.system.transitions
    gmm = Gmm.single(
        training.features.mean(axis=0, dtype=np.float64),
        training.features.var(axis=0, dtype=np.float64),
        transitions.num_pdfs,
    )
    pieces = zip(training.first_phones(), np.diff(training.bounds), strict=True)
    labels = np.concatenate(
        [equal_alignment(transitions, phones, int(frames)) for phones, frames in pieces]
    )
    passes = Passes(options.iterations, options.gaussians, REALIGN, options.seed, "flat start")
    return train_mixtures(training, gmm, labels, passes, skips)
