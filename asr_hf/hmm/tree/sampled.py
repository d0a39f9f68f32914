"""HMMs for networks that emit every k-th frame, made from HMMs that emit every frame.

A phone has one state, whose first frame has a pdf of its own (Povey et al., 2016, section 2.4). Its
frames are labelled at the full rate, so that a network can be trained on all of them: whichever
every k-th frames are taken, one that falls into a phone's first k frames is its first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.ark import ArkReader
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.hmm.alignment.align import AlignedSet, Transcript
from asr_hf.hmm.alignment.corpus import training_features
from asr_hf.hmm.alignment.segments import Segment, phone_spans
from asr_hf.hmm.alignment.training_set import open_training_set
from asr_hf.hmm.graph.lexicon import SILENCE, SPOKEN_NOISE, SymbolTable
from asr_hf.hmm.graph.topology import sampled_topology_text
from asr_hf.hmm.graph.transitions import TransitionModel
from asr_hf.hmm.system import HmmSystem
from asr_hf.hmm.tree.tree_growing import grow_tree
from asr_hf.hmm.tree.tree_statistics import accumulate, questions
from asr_hf.hmm.tree.triphones import evenly_spaced
from asr_hf.kaldi.tree import ContextDependency
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.skips import SkipList

# The pdf classes of a phone: its first frame, and the others.
_CLASSES = _FIRST, _LATER = 0, 1
# Phone before, phone, phone after, first frame and number of frames.
_Placed = tuple[int, int, int, int, int]


@dataclass(frozen=True)
class SamplingOptions:
    """Settings of the HMMs.

    Attributes:
        every: k; every k-th frame is emitted.
        states: largest number of tied states; None has none tied: two states a phone.
        max_utterances: largest number of utterances that the tree is grown on, spread evenly; None
            takes all.
    """

    every: int
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
        spoken = _phones(training.align(base.require_gmm()), base.transitions, skips)
    skips.check(len(chosen))
    stacked = np.concatenate([features[name] for name in spoken])
    contexts = np.concatenate([_contexts(placed, options.every) for placed in spoken.values()])
    statistics, _ = accumulate(contexts, stacked)
    silence = [base.phones.id(p) for p in (SILENCE, SPOKEN_NOISE) if p in base.phones]
    states = dict.fromkeys(range(1, len(base.phones)), len(_CLASSES))
    limit = sum(states.values()) if options.states is None else options.states
    tree = grow_tree(statistics, states, questions(statistics, silence, _FIRST), silence, limit)
    transitions = TransitionModel(sampled_topology_text(base.phones), tree=tree)
    transitions.update(_counts(spoken.values(), transitions, tree, options.every))
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
    pdfs_of = _pair_finder(tree)
    for name, phones in aligned.phones.items():
        if rate > 1:
            total = num_frames(name)
            aligned.words[name] = _at_full_rate(aligned.words[name], rate, total)
            aligned.phones[name] = phones = _at_full_rate(phones, rate, total)
        pieces = []
        placed = _placed([(s.label, s.start, s.num_frames) for s in phones], system.phones)
        for before, phone, after, _, frames in placed:
            first, later = pdfs_of(before, phone, after)
            row = np.full(frames, later, np.int32)
            row[: system.subsampling] = first
            pieces.append(row)
        aligned.pdfs[name] = np.concatenate(pieces)


def _at_full_rate(segments: Sequence[Segment], rate: int, total: int) -> list[Segment]:
    """Return segments with their times in frames at the full rate, of which there are `total`."""
    ends = [min(rate * (s.start + s.num_frames), total) for s in segments]
    return [
        Segment(s.label, rate * s.start, end - rate * s.start)
        for s, end in zip(segments, ends, strict=True)
    ]


def _phones(
    paths: Mapping[str, NDArray[np.int32] | str], transitions: TransitionModel, skips: SkipList
) -> dict[str, list[_Placed]]:
    """Find the phones of each utterance that can be aligned."""
    spoken = {}
    for name, path in paths.items():
        if isinstance(path, str):
            skips.add(name, path)
        else:
            spoken[name] = _placed(phone_spans(path, transitions), None)
    return spoken


def _placed(
    spans: Sequence[tuple[int | str, int, int]], phones: SymbolTable | None
) -> list[_Placed]:
    """Put each phone between its neighbours; 0 is the edge of the utterance."""
    ids = [0, *(int(p) if phones is None else phones.id(str(p)) for p, *_ in spans), 0]
    return [
        (ids[n], ids[n + 1], ids[n + 2], start, frames)
        for n, (_, start, frames) in enumerate(spans)
    ]


def _contexts(placed: Iterable[_Placed], every: int) -> NDArray[np.int64]:
    """Return phone before, phone, phone after and pdf class of each frame [frames, 4]."""
    rows = []
    for before, phone, after, _, frames in placed:
        row = np.tile(np.array([before, phone, after, _LATER], np.int64), (frames, 1))
        row[:every, 3] = _FIRST
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
    pdfs_of, numbers = _pair_finder(tree), _transitions_of(transitions)
    for placed in spoken:
        for before, phone, after, start, frames in placed:
            forward, loop = numbers[phone, *pdfs_of(before, phone, after)]
            offsets = (start + np.arange(frames)) % every
            taken = np.bincount(offsets, minlength=every)
            counts[forward] += np.count_nonzero(taken)
            counts[loop] += int(np.maximum(taken - 1, 0).sum())
    return counts


def _transitions_of(transitions: TransitionModel) -> dict[tuple[int, int, int], tuple[int, int]]:
    """Return forward transition and self-loop by phone and their pdfs."""
    edges = np.flatnonzero(np.diff(transitions.state_of[1:], prepend=0, append=-1)) + 1
    numbers = {}
    for first, last in pairwise(edges.tolist()):
        loop, forward = sorted(range(first, last), key=lambda n: not transitions.is_self_loop[n])
        pdfs = int(transitions.pdf_of[forward]), int(transitions.pdf_of[loop])
        numbers[int(transitions.phone_of[first]), *pdfs] = forward, loop
    return numbers


def _pair_finder(tree: ContextDependency) -> Callable[[int, int, int], tuple[int, int]]:
    @cache
    def pdfs_of(before: int, phone: int, after: int) -> tuple[int, int]:
        first, later = (tree.pdf((before, phone, after), number) for number in _CLASSES)
        if first is None or later is None:
            raise InputError(
                f"the tree has no pdf for phone {phone} between {before} and {after}",
                expected="two in every context",
                remedy="remove the folder and run asr-hf align again",
            )
        return first, later

    return pdfs_of
