"""HMMs for networks that emit every k-th frame, made from HMMs that emit every frame.

Frames are labelled at the full rate, so that a network can be trained on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.ark import ArkReader
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.hmm.alignment.align import AlignedSet
from asr_hf.hmm.alignment.corpus import training_features
from asr_hf.hmm.alignment.segments import Segment, phone_spans
from asr_hf.hmm.alignment.spoken_path import Transcript
from asr_hf.hmm.alignment.training_set import open_training_set
from asr_hf.hmm.graph.lexicon import SILENCE, SPOKEN_NOISE
from asr_hf.hmm.graph.transitions import TransitionModel
from asr_hf.hmm.system import HmmSystem
from asr_hf.hmm.tree.sampled_states import FIRST, SampledStates
from asr_hf.hmm.tree.tree_growing import grow_tree
from asr_hf.hmm.tree.tree_statistics import accumulate, questions
from asr_hf.hmm.tree.triphones import evenly_spaced
from asr_hf.kaldi.tree import ContextDependency
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.skips import SkipList

# Phone before, phone, phone after, first frame and number of frames.
_Placed = tuple[int, int, int, int, int]


@dataclass(frozen=True)
class SamplingOptions:
    """Settings of the HMMs.

    Attributes:
        every: k; every k-th frame is emitted.
        kind: what the states of a phone stand for.
        states: largest number of tied states; None has none tied.
        max_utterances: largest number of utterances that the tree is grown on, spread evenly; None
            takes all.
    """

    every: int
    kind: SampledStates
    states: int | None
    max_utterances: int | None


def train_sampled(
    base: HmmSystem,
    data: DataDir,
    fbank: ArkReader,
    transcripts: Mapping[str, Transcript],
    options: SamplingOptions,
    skips: SkipList,
    jobs: int = 1,
) -> HmmSystem:
    """Make HMMs that emit every k-th frame, their states tied by a tree of their own.

    Args:
        base: HMMs that emit every frame, with their mixtures.
        data: data directory of the training set.
        fbank: filterbanks of the training set.
        transcripts: transcripts of the training set.
        options: settings.
        skips: receives the utterances that are left out.
        jobs: number of processes; the result does not depend on it.

    Returns:
        The HMMs, without mixtures.

    Raises:
        InputError: too much has to be skipped, or `options.states` is too small.
    """
    chosen = evenly_spaced([u.id for u in data.utterances], options.max_utterances)
    features = training_features(data, fbank, chosen, skips)
    with open_training_set(base, features, transcripts, skips, jobs) as training:
        skips.check(len(chosen))
        paths = training.paths(base.require_gmm(), skips)
    skips.check(len(chosen))
    spoken = [_placed(phone_spans(path, base.transitions)) for path in paths.values()]
    stacked = np.concatenate([features[name] for name in paths])
    contexts = np.concatenate([_contexts(placed, options) for placed in spoken])
    statistics, _ = accumulate(contexts, stacked)
    silence = [base.phones.id(p) for p in (SILENCE, SPOKEN_NOISE) if p in base.phones]
    kind = options.kind
    states = dict.fromkeys(range(1, len(base.phones)), kind.count)
    limit = sum(states.values()) if options.states is None else options.states
    asked = questions(statistics, silence, FIRST)
    tree = grow_tree(statistics, states, asked, silence, limit, kind.neighbours)
    transitions = TransitionModel(kind.topology(base.phones), tree=tree)
    if kind.trained:
        transitions.update(_counts(spoken, transitions, tree, options.every))
    return HmmSystem(base.phones, transitions, base.languages, subsampling=options.every)


def label_frames(
    aligned: AlignedSet, system: HmmSystem, rate: int, num_frames: Callable[[str], int]
) -> None:
    """Label the frames of aligned utterances with the states of HMMs that emit every k-th frame.

    Args:
        aligned: alignments, whose pdfs are replaced; and their times, by those at the full rate.
        system: the HMMs.
        rate: 1 where the alignments are at the full rate, k where they are of every k-th frame.
        num_frames: returns the number of frames of an utterance at the full rate.
    """
    tree = system.transitions.tree
    assert tree is not None
    pdfs_of, kind = _pdf_finder(tree), SampledStates.of(tree)
    for name, phones in aligned.phones.items():
        if rate > 1:
            total = num_frames(name)
            aligned.words[name] = _at_full_rate(aligned.words[name], rate, total)
            aligned.phones[name] = phones = _at_full_rate(phones, rate, total)
        placed = _placed([(system.phones.id(s.label), s.start, s.num_frames) for s in phones])
        pieces = [
            np.array(pdfs_of(before, phone, after), np.int32)[
                kind.of_frames(frames, system.subsampling)
            ]
            for before, phone, after, _, frames in placed
        ]
        aligned.pdfs[name] = np.concatenate(pieces)


def _at_full_rate(segments: Sequence[Segment], rate: int, total: int) -> list[Segment]:
    """Return segments with their times in frames at the full rate, of which there are `total`."""
    ends = [min(rate * (s.start + s.num_frames), total) for s in segments]
    return [
        Segment(s.label, rate * s.start, end - rate * s.start)
        for s, end in zip(segments, ends, strict=True)
    ]


def _placed(spans: Sequence[tuple[int, int, int]]) -> list[_Placed]:
    """Put each phone between its neighbours; 0 is the edge of the utterance.

    Args:
        spans: phone id, first frame and number of frames of each phone.

    Returns:
        The same, with the phones before and after.
    """
    ids = [0, *(phone for phone, *_ in spans), 0]
    return [
        (ids[n], ids[n + 1], ids[n + 2], start, frames)
        for n, (_, start, frames) in enumerate(spans)
    ]


def _contexts(placed: Iterable[_Placed], options: SamplingOptions) -> NDArray[np.int64]:
    """Return phone before, phone, phone after and state of each frame [frames, 4]."""
    rows = []
    for before, phone, after, _, frames in placed:
        row = np.tile(np.array([before, phone, after, 0], np.int64), (frames, 1))
        row[:, 3] = options.kind.of_frames(frames, options.every)
        rows.append(row)
    return np.concatenate(rows)


def _counts(
    spoken: Iterable[Sequence[_Placed]],
    transitions: TransitionModel,
    tree: ContextDependency,
    every: int,
) -> NDArray[np.int64]:
    """Count transitions, whichever every k-th frames are taken [transition ids + 1]."""
    counts = np.zeros(transitions.num_transition_ids + 1, np.int64)
    pdfs_of, numbers, kind = _pdf_finder(tree), transitions.numbers, SampledStates.of(tree)
    for placed in spoken:
        for before, phone, after, start, frames in placed:
            pdfs = pdfs_of(before, phone, after)
            offsets = (start + np.arange(frames)) % every
            for taken in np.bincount(offsets, minlength=every).tolist():
                for state, target in kind.steps(taken):
                    counts[numbers[phone, state, pdfs[state]][target]] += 1
    return counts


def _pdf_finder(tree: ContextDependency) -> Callable[[int, int, int], tuple[int, ...]]:
    states = range(SampledStates.of(tree).count)

    @cache
    def pdfs_of(before: int, phone: int, after: int) -> tuple[int, ...]:
        pdfs = [tree.pdf((before, phone, after), state) for state in states]
        known = tuple(pdf for pdf in pdfs if pdf is not None)
        if len(known) < len(pdfs):
            raise InputError(
                f"the tree has no pdf for phone {phone} between {before} and {after}",
                expected="one of each state in every context",
                remedy="remove the folder and run asr-hf align again",
            )
        return known

    return pdfs_of
