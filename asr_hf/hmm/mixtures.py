"""Viterbi training of mixtures: EM passes that grow them, with realignments in between."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm.fst import Fst
from asr_hf.hmm.gmm import VARIANCE_FLOOR, Gmm, GmmScorer, em_step, split
from asr_hf.hmm.scores import AlignmentError
from asr_hf.hmm.search import BestPath, align
from asr_hf.hmm.transitions import TransitionModel
from asr_hf.runtime.progress import progress
from asr_hf.runtime.skips import SkipList

log = logging.getLogger(__name__)

GROWING_SHARE = 0.75
ACOUSTIC_SCALE = 0.1
FIRST_BEAM = 6.0
BEAM = 10.0
RETRY_FACTOR = 4.0


@dataclass(frozen=True)
class Passes:
    """A course of training.

    Attributes:
        count: EM passes.
        gaussians: the wanted number of Gaussians in all, reached after three quarters of them.
        realign: the passes before which the alignment is renewed.
        seed: of the perturbations of split Gaussians.
        name: for the progress bar.
    """

    count: int
    gaussians: int
    realign: frozenset[int]
    seed: int
    name: str


@dataclass(frozen=True)
class TrainingUtterance:
    """What training needs of one utterance.

    Attributes:
        features: [frames, dim].
        graph: its training graph.
        pdfs: every pdf its graph has, ascending; no other is scored.
    """

    features: NDArray[np.float32]
    graph: Fst
    pdfs: NDArray[np.int32]

    @classmethod
    def of(
        cls, features: NDArray[np.float32], graph: Fst, transitions: TransitionModel
    ) -> TrainingUtterance:
        """An utterance with features [frames, dim], and its graph made for `transitions`."""
        return cls(features, graph, transitions.pdfs_in(graph))


def train_mixtures(
    transitions: TransitionModel,
    gmm: Gmm,
    utterances: Mapping[str, TrainingUtterance],
    labels: NDArray[np.int32],
    passes: Passes,
    skips: SkipList,
) -> Gmm:
    """Train mixtures and transition probabilities.

    The same input and seed give the same model, bit for bit.

    Args:
        transitions: the transition model, updated in place.
        gmm: the mixtures to start from.
        utterances: the training set.
        labels: the first alignment: the pdf of each frame of all utterances, -1 for frames to
            leave out; renewed in place.
        passes: the course of training.
        skips: receives the utterances that could not be aligned in the last realignment.
    """
    every = list(utterances.values())
    stacked = np.concatenate([u.features for u in every])
    bounds = np.concatenate([[0], np.cumsum([len(u.features) for u in every])])
    floor = VARIANCE_FLOOR * stacked.var(axis=0, dtype=np.float64)
    random = np.random.default_rng(passes.seed)
    growing = max(1, round(GROWING_SHARE * passes.count))
    first = gmm.num_gaussians
    failed: dict[str, str] = {}
    bar = progress(range(passes.count), desc=passes.name, unit="pass")
    for number in bar:
        if number in passes.realign:
            beam = FIRST_BEAM if number == 1 else BEAM
            failed = _realign(transitions, gmm, utterances, bounds, labels, beam)
        order, edges = group_by_pdf(labels, transitions.num_pdfs)
        gmm, occupancy, likelihood = em_step(gmm, stacked, order, edges, floor)
        if number < growing:
            target = first + (passes.gaussians - first) * (number + 1) // growing
            gmm = split(gmm, occupancy, target, random)
        bar.set_postfix(gaussians=gmm.num_gaussians, loglik=f"{likelihood:.2f}")
        log.debug("pass %d: %d Gaussians, %.4f", number, gmm.num_gaussians, likelihood)
    for name, reason in failed.items():
        skips.add(name, reason)
    return gmm


def _realign(
    transitions: TransitionModel,
    gmm: Gmm,
    utterances: Mapping[str, TrainingUtterance],
    bounds: NDArray[np.int64],
    labels: NDArray[np.int32],
    beam: float,
) -> dict[str, str]:
    """Align every utterance again, in place in `labels`, and renew the transition model.

    Frames of an utterance that fails get the label -1.

    Returns:
        The utterances that failed and why.
    """
    scorer = gmm.scorer()
    counts = np.zeros(transitions.num_transition_ids + 1, np.int64)
    failed: dict[str, str] = {}
    for number, (name, utterance) in enumerate(utterances.items()):
        mine = labels[bounds[number] : bounds[number + 1]]
        try:
            path = align_utterance(transitions, scorer, utterance, name, beam)
        except AlignmentError as error:
            failed[name] = error.problem
            mine[:] = -1
            continue
        mine[:] = transitions.pdf_of[path.transition_ids]
        counts += np.bincount(path.transition_ids, minlength=len(counts))
    transitions.update(counts)
    return failed


def align_utterance(
    transitions: TransitionModel,
    scorer: GmmScorer,
    utterance: TrainingUtterance,
    name: str,
    beam: float = BEAM,
) -> BestPath:
    """The best path of one utterance under the mixtures so far.

    Raises:
        AlignmentError: there is none.
    """
    scores = scorer.log_likelihoods(utterance.features, utterance.pdfs)
    beams = (beam, RETRY_FACTOR * beam)
    return align(
        transitions, utterance.graph, scores, name, acoustic_scale=ACOUSTIC_SCALE, beams=beams
    )


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
