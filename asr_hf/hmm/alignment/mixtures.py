"""Viterbi training of mixtures: EM passes that grow them, with realignments in between."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm.alignment.training_set import BEAM, TrainingSet
from asr_hf.hmm.gmm.gmm import VARIANCE_FLOOR, Gmm, em_step, split
from asr_hf.runtime.progress import progress
from asr_hf.runtime.skips import SkipList

log = logging.getLogger(__name__)

GROWING_SHARE = 0.75
FIRST_BEAM = 6.0


@dataclass(frozen=True)
class Passes:
    """Settings of one course of training.

    Attributes:
        count: number of EM passes.
        gaussians: target number of Gaussians in all, reached after three quarters of the passes.
        realign: numbers of the passes before which the alignment is renewed.
        seed: seed of the perturbations of split Gaussians.
        name: label of the progress bar.
    """

    count: int
    gaussians: int
    realign: frozenset[int]
    seed: int
    name: str


def train_mixtures(
    training: TrainingSet,
    gmm: Gmm,
    labels: NDArray[np.int32],
    passes: Passes,
    skips: SkipList,
) -> Gmm:
    """Train mixtures and transition probabilities.

    Input and seed determine the model, bit for bit, whatever the number of processes.

    Args:
        training: the training set; its transition model is updated in place.
        gmm: the mixtures to start from.
        labels: the first alignment: the pdf of each frame of all utterances, -1 for frames to
            leave out; renewed in place.
        passes: the course of training.
        skips: receives the utterances that could not be aligned in the last realignment.

    Returns:
        The trained mixtures.
    """
    floor = VARIANCE_FLOOR * training.features.var(axis=0, dtype=np.float64)
    random = np.random.default_rng(passes.seed)
    growing = max(1, round(GROWING_SHARE * passes.count))
    first = gmm.num_gaussians
    failed: dict[str, str] = {}
    bar = progress(range(passes.count), desc=passes.name, unit="pass")
    for number in bar:
        if number in passes.realign:
            failed = _realign(training, gmm, labels, FIRST_BEAM if number == 1 else BEAM)
        order, edges = group_by_pdf(labels, training.system.transitions.num_pdfs)
        gmm, occupancy, likelihood = em_step(gmm, training.features, order, edges, floor)
        if number < growing:
            target = first + (passes.gaussians - first) * (number + 1) // growing
            gmm = split(gmm, occupancy, target, random)
        bar.set_postfix(gaussians=gmm.num_gaussians, loglik=f"{likelihood:.2f}")
        log.debug("pass %d: %d Gaussians, %.4f", number, gmm.num_gaussians, likelihood)
    for name, reason in failed.items():
        skips.add(name, reason)
    return gmm


def _realign(
    training: TrainingSet, gmm: Gmm, labels: NDArray[np.int32], beam: float
) -> dict[str, str]:
    """Align every utterance again, in place in `labels`, and renew the transition model.

    Frames of an utterance that fails get the label -1.

    Returns:
        The utterances that failed, with the reasons.
    """
    transitions = training.system.transitions
    counts = np.zeros(transitions.num_transition_ids + 1, np.int64)
    failed: dict[str, str] = {}
    for number, (name, path) in enumerate(training.align(gmm, beam).items()):
        utterance_labels = labels[training.bounds[number] : training.bounds[number + 1]]
        if isinstance(path, str):
            failed[name] = path
            utterance_labels[:] = -1
            continue
        utterance_labels[:] = transitions.pdf_of[path]
        counts += np.bincount(path, minlength=len(counts))
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
    labelled = np.flatnonzero(labels >= 0)
    order = labelled[np.argsort(labels[labelled], kind="stable")]
    counts = np.bincount(labels[labelled], minlength=num_pdfs)
    return order, np.concatenate([[0], np.cumsum(counts)])
