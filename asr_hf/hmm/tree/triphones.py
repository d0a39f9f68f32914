"""Trains states tied across contexts, from a monophone system."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.ark import ArkReader
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.hmm.alignment.corpus import training_features
from asr_hf.hmm.alignment.mixtures import Passes, train_mixtures
from asr_hf.hmm.alignment.spoken_path import Transcript
from asr_hf.hmm.alignment.training_set import open_training_set
from asr_hf.hmm.gmm.gmm import Gmm
from asr_hf.hmm.graph.lexicon import SILENCE, SPOKEN_NOISE
from asr_hf.hmm.graph.transitions import TransitionModel
from asr_hf.hmm.system import HmmSystem
from asr_hf.hmm.tree.tree_growing import grow_tree
from asr_hf.hmm.tree.tree_statistics import (
    ContextStatistics,
    Moments,
    accumulate,
    gaussian,
    questions,
    states_in_context,
)
from asr_hf.kaldi.tree import ContextDependency
from asr_hf.runtime.skips import SkipList

log = logging.getLogger(__name__)

# Kaldi realigns before passes 10, 20 and 30 of 35.
REALIGN_SHARES = (2 / 7, 4 / 7, 6 / 7)


@dataclass(frozen=True)
class TyingOptions:
    """Settings of the tree and of the training on it.

    Attributes:
        states: maximum number of tied states.
        gaussians: target number of Gaussians in all.
        passes: number of EM passes, with three realignments.
        max_utterances: maximum number of utterances to train on, spread evenly; None takes all.
        seed: seed of the perturbations of split Gaussians.
    """

    states: int
    gaussians: int
    passes: int
    max_utterances: int | None
    seed: int


def train_triphones(
    system: HmmSystem,
    data: DataDir,
    fbank: ArkReader,
    transcripts: Mapping[str, Transcript],
    options: TyingOptions,
    skips: SkipList,
    jobs: int = 1,
) -> HmmSystem:
    """Tie the states of phones in context by a decision tree, and train mixtures for them.

    The monophones' alignment gives the statistics that the questions and the tree are made from,
    and the first alignment of the tied states. Input and seed determine the system, bit for bit.

    Args:
        system: trained monophones.
        data: data directory of the training set.
        fbank: filterbanks of the training set.
        transcripts: transcripts of the training set.
        options: settings of tree and training.
        skips: receives the utterances that are left out.
        jobs: number of processes; the result does not depend on it.

    Returns:
        The tied system with its trained mixtures.

    Raises:
        InputError: too much has to be skipped, or `options.states` is too small.
    """
    chosen = evenly_spaced([u.id for u in data.utterances], options.max_utterances)
    features = training_features(data, fbank, chosen, skips)
    with open_training_set(system, features, transcripts, skips, jobs) as training:
        skips.check(len(chosen))
        paths = training.paths(system.require_gmm(), skips)
    skips.check(len(chosen))
    features = {name: features[name] for name in paths}
    stacked = np.concatenate(list(features.values()))
    contexts = [states_in_context(path, system.transitions) for path in paths.values()]
    statistics, rows = accumulate(np.concatenate(contexts), stacked)
    tree = _tree(system, statistics, options.states)
    del stacked
    windows = statistics.contexts.tolist()
    pdfs = np.asarray([tree.pdf(window, state) for *window, state in windows], np.int32)
    gmm = first_gaussians(statistics.moments, pdfs, tree.num_pdfs)
    realign = frozenset(round(share * options.passes) for share in REALIGN_SHARES)
    passes = Passes(options.passes, options.gaussians, realign, options.seed, "triphones")
    tied = system.tied(tree)
    with open_training_set(tied, features, transcripts, skips, jobs) as training:
        tied.gmm = train_mixtures(training, gmm, pdfs[rows], passes, skips)
    skips.check(len(chosen))
    return tied


def evenly_spaced(names: Sequence[str], count: int | None) -> list[str]:
    """Pick `count` of the names at even distances, or all of them."""
    if count is None or count >= len(names):
        return list(names)
    return [names[i * len(names) // count] for i in range(count)]


def _tree(system: HmmSystem, statistics: ContextStatistics, states: int) -> ContextDependency:
    silence = [system.phones.id(p) for p in (SILENCE, SPOKEN_NOISE) if p in system.phones]
    tree = grow_tree(
        statistics,
        _phone_states(system.transitions, len(system.phones)),
        questions(statistics, silence),
        silence,
        states,
    )
    log.info(
        "%d tied states (%d asked for) from %d phones; %d states in context seen",
        tree.num_pdfs,
        states,
        len(system.phones) - 1,
        len(statistics.contexts),
    )
    return tree


def _phone_states(monophones: TransitionModel, phones: int) -> dict[int, int]:
    return {phone: len(monophones.pdfs_of_phone(phone)) for phone in range(1, phones)}


def first_gaussians(moments: Moments, pdfs: NDArray[np.int32], num_pdfs: int) -> Gmm:
    """Estimate one Gaussian a pdf from the contexts tied in it.

    A pdf without frames gets the Gaussian of all frames.

    Args:
        moments: moments of each context [contexts, 1 + 2 dim].
        pdfs: pdf of each context [contexts].
        num_pdfs: number of pdfs.

    Returns:
        The mixtures, of one Gaussian each.
    """
    sums = np.zeros((num_pdfs, moments.shape[1]))
    np.add.at(sums, pdfs, moments)
    sums[sums[:, 0] == 0] = moments.sum(axis=0)
    return Gmm(np.arange(num_pdfs + 1, dtype=np.int64), np.ones(num_pdfs), *gaussian(sums))
