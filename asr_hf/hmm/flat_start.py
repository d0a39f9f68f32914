"""Training a monophone GMM-HMM from nothing but transcripts."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm.adapter import AlignmentError, BestPath, TransitionModel
from asr_hf.hmm.fst import Fst
from asr_hf.hmm.gmm import VARIANCE_FLOOR, Gmm, em_step, split
from asr_hf.runtime.progress import progress
from asr_hf.runtime.skips import SkipList

log = logging.getLogger(__name__)

# Kaldi's schedule for monophones: often while the model changes fast, then ever less.
REALIGN = frozenset([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 23, 26, 29, 32, 35, 38])
GROWING_SHARE = 0.75
ACOUSTIC_SCALE = 0.1
FIRST_BEAM = 6.0
BEAM = 10.0
RETRY_FACTOR = 4.0


@dataclass(frozen=True)
class FlatStartOptions:
    """Settings of the flat start.

    Attributes:
        iterations: EM passes; the alignment is renewed on Kaldi's schedule.
        gaussians: the wanted number of Gaussians in all.
        seed: of the perturbations of split Gaussians.
    """

    iterations: int = 40
    gaussians: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class TrainingUtterance:
    """What the flat start needs of one utterance.

    Attributes:
        features: [frames, dim].
        graph: its training graph.
        phones: phone ids, one pronunciation a word, with silence at both ends.
        pdfs: every pdf its graph has, ascending; no other is scored.
    """

    features: NDArray[np.float32]
    graph: Fst
    phones: list[int]
    pdfs: NDArray[np.int32]


def equal_alignment(
    transitions: TransitionModel, phones: list[int], frames: int
) -> NDArray[np.int32]:
    """Spread the frames of one utterance evenly over the pdfs of its phones.

    Args:
        transitions: the transition model.
        phones: phone ids, one pronunciation a word, with silence at both ends.
        frames: the number of frames.

    Returns:
        pdf ids [frames].
    """
    pdfs = np.concatenate([transitions.pdfs_of_phone(phone) for phone in phones])
    return pdfs[np.arange(frames) * len(pdfs) // frames].astype(np.int32)


def flat_start(
    transitions: TransitionModel,
    utterances: Mapping[str, TrainingUtterance],
    options: FlatStartOptions,
    skips: SkipList,
) -> Gmm:
    """Train GMMs and transition probabilities on unaligned utterances.

    The first alignment spreads the frames evenly; later ones are Viterbi alignments of the model
    so far, while mixtures grow towards `options.gaussians` over three quarters of the passes.
    The same input and seed give the same model, bit for bit.

    Args:
        transitions: the transition model, updated in place.
        utterances: the training set.
        options: settings.
        skips: receives the utterances that could not be aligned in the last realignment.

    Returns:
        The trained mixtures.
    """
    every = list(utterances.values())
    stacked = np.concatenate([u.features for u in every])
    bounds = np.concatenate([[0], np.cumsum([len(u.features) for u in every])])
    variance = stacked.var(axis=0, dtype=np.float64)
    gmm = Gmm.single(stacked.mean(axis=0, dtype=np.float64), variance, transitions.num_pdfs)
    labels = np.concatenate(
        [equal_alignment(transitions, u.phones, len(u.features)) for u in every]
    )
    random = np.random.default_rng(options.seed)
    growing = max(1, round(GROWING_SHARE * options.iterations))
    target = first = gmm.num_gaussians
    failed: dict[str, str] = {}
    bar = progress(range(options.iterations), desc="flat start", unit="pass")
    for iteration in bar:
        if iteration in REALIGN:
            failed = _realign(transitions, gmm, utterances, bounds, labels, iteration)
        order, edges = group_by_pdf(labels, transitions.num_pdfs)
        floor = VARIANCE_FLOOR * variance
        gmm, occupancy, likelihood = em_step(gmm, stacked, order, edges, floor)
        if iteration < growing:
            target = first + (options.gaussians - first) * (iteration + 1) // growing
            gmm = split(gmm, occupancy, target, random)
        bar.set_postfix(gaussians=gmm.num_gaussians, loglik=f"{likelihood:.2f}")
        log.debug("pass %d: %d Gaussians, %.4f", iteration, gmm.num_gaussians, likelihood)
    for name, reason in failed.items():
        skips.add(name, reason)
    return gmm


def _realign(
    transitions: TransitionModel,
    gmm: Gmm,
    utterances: Mapping[str, TrainingUtterance],
    bounds: NDArray[np.int64],
    labels: NDArray[np.int32],
    iteration: int,
) -> dict[str, str]:
    """Align every utterance again, in place in `labels`, and renew the transition model.

    Frames of an utterance that fails get the label -1.

    Returns:
        The utterances that failed and why.
    """
    scorer = gmm.scorer()
    beam = FIRST_BEAM if iteration == 1 else BEAM
    beams = (beam, RETRY_FACTOR * beam)
    counts = np.zeros(transitions.num_transition_ids + 1, np.int64)
    failed: dict[str, str] = {}
    for number, (name, utterance) in enumerate(utterances.items()):
        scores = scorer.log_likelihoods(utterance.features, utterance.pdfs)
        mine = labels[bounds[number] : bounds[number + 1]]
        try:
            path: BestPath = transitions.align(
                utterance.graph, scores, name, acoustic_scale=ACOUSTIC_SCALE, beams=beams
            )
        except AlignmentError as error:
            failed[name] = error.problem
            mine[:] = -1
            continue
        mine[:] = transitions.pdf_of[path.transition_ids]
        counts += np.bincount(path.transition_ids, minlength=len(counts))
    transitions.update(counts)
    return failed


def group_by_pdf(
    labels: NDArray[np.int32], num_pdfs: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Sort frames by pdf.

    Args:
        labels: pdf of each frame, -1 for frames to leave out.
        num_pdfs: the number of pdfs.

    Returns:
        (order, bounds): the frames of pdf p are order[bounds[p]:bounds[p+1]].
    """
    kept = np.flatnonzero(labels >= 0)
    order = kept[np.argsort(labels[kept], kind="stable")]
    counts = np.bincount(labels[kept], minlength=num_pdfs)
    return order, np.concatenate([[0], np.cumsum(counts)])
