"""Grows decision trees that tie the states of phones in context."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm.tree.tree_statistics import ContextStatistics, Moments, log_likelihood
from asr_hf.kaldi.tree import PDF_CLASS, ContextDependency, Leaf, Node, Split, Table
from asr_hf.runtime.errors import InputError

# Place of the phone itself in its context; before and behind it stand its neighbours.
CENTRE = 1
BEFORE, AFTER = 0, 2
# A question must make the data this much likelier, in nats; neighbouring frames say nearly the
# same, so that a gain by chance is larger than independent frames' would be (Kaldi's default).
LEAST_GAIN = 300.0
# Frames on either side of a question.
LEAST_FRAMES = 50.0


@dataclass
class _GrowingNode:
    """A node while the tree grows; a leaf as long as `question` is None.

    Attributes:
        contexts: the (before, after) pairs of its items [items, 2].
        moments: moments of its items [items, 1 + 2 dim].
        question: position and phones of the question that split it.
        children: the nodes for yes and no.
    """

    contexts: NDArray[np.int64]
    moments: Moments
    question: tuple[int, frozenset[int]] | None = None
    children: list[_GrowingNode] = field(default_factory=list)


@dataclass(frozen=True)
class _Question:
    """The best question of a node: its gain in nats, position and phones."""

    gain: float
    position: int
    phones: frozenset[int]


def grow_tree(
    statistics: ContextStatistics,
    phone_states: Mapping[int, int],
    phone_sets: Sequence[frozenset[int]],
    untied: Sequence[int],
    max_leaves: int,
    neighbours: Sequence[int] = (BEFORE, AFTER),
) -> ContextDependency:
    """Grow a tree of at most `max_leaves` leaves, always splitting the leaf with the largest gain.

    Every state of every phone has a root of its own, so that phones share no pdfs (Young, Odell
    and Woodland, Tree-Based State Tying for High Accuracy Acoustic Modelling, 1994).

    Args:
        statistics: counts and moments of the contexts seen.
        phone_states: the number of states of each phone id, 1 to the last.
        phone_sets: the questions, sets of phone ids.
        untied: phones without context (silence).
        max_leaves: maximum number of leaves.
        neighbours: places of the neighbours that are asked about: both, or the one before.

    Returns:
        The tree; without the phone after, its window ends with the phone itself.

    Raises:
        InputError: the phones without context already have more states than that.
    """
    roots = {
        (phone, state): _root(statistics, phone, state)
        for phone, count in sorted(phone_states.items())
        for state in range(count)
    }
    if max_leaves < len(roots):
        raise InputError(
            f"alignment.tree.states={max_leaves}",
            expected=f"{len(roots)} or more: the states of phones without context",
            remedy="raise it, or use alignment=monophone",
        )
    may_grow = [cell for (phone, _), cell in roots.items() if phone not in untied]
    _split_leaves(may_grow, phone_sets, max_leaves - len(roots), neighbours)
    numbered: list[int] = []
    trees: dict[int, list[Node]] = {}
    for (phone, _), cell in roots.items():
        trees.setdefault(phone, []).append(_frozen(cell, numbered))
    phones = [Table(PDF_CLASS, tuple(trees[phone])) for phone in sorted(trees)]
    width = 1 + max(CENTRE, *neighbours)
    return ContextDependency(width, CENTRE, Table(CENTRE, (None, *phones)))


def _root(statistics: ContextStatistics, phone: int, state: int) -> _GrowingNode:
    selected = (statistics.contexts[:, 1] == phone) & (statistics.contexts[:, 3] == state)
    return _GrowingNode(statistics.contexts[selected][:, [0, 2]], statistics.moments[selected])


def _split_leaves(
    cells: Sequence[_GrowingNode],
    phone_sets: Sequence[frozenset[int]],
    max_splits: int,
    neighbours: Sequence[int],
) -> None:
    """Split leaves, the one with the greatest gain first, at most `max_splits` times."""
    queue: list[tuple[float, int, _GrowingNode, _Question]] = []
    pushed = 0

    def consider(cell: _GrowingNode) -> None:
        nonlocal pushed
        if (best := _best_question(cell, phone_sets, neighbours)) is not None:
            heapq.heappush(queue, (-best.gain, pushed, cell, best))
        pushed += 1

    for cell in cells:
        consider(cell)
    while queue and max_splits > 0:
        _, _, cell, best = heapq.heappop(queue)
        phones = np.asarray(sorted(best.phones))
        yes = np.isin(cell.contexts[:, best.position // 2], phones)
        cell.question = best.position, best.phones
        cell.children = [_GrowingNode(cell.contexts[s], cell.moments[s]) for s in (yes, ~yes)]
        for child in cell.children:
            consider(child)
        max_splits -= 1


def _best_question(
    cell: _GrowingNode, phone_sets: Sequence[frozenset[int]], neighbours: Sequence[int]
) -> _Question | None:
    """Find the question with the largest gain, the first among equals; None when none pays."""
    if len(cell.contexts) < 2:
        return None
    total = cell.moments.sum(axis=0)
    unsplit = float(log_likelihood(total))
    best: _Question | None = None
    for position in neighbours:
        present, rows = np.unique(cell.contexts[:, position // 2], return_inverse=True)
        sums = np.zeros((len(present), cell.moments.shape[1]))
        np.add.at(sums, rows, cell.moments)
        member = np.asarray(
            [[int(p) in phones for p in present] for phones in phone_sets], np.float64
        )
        # Questions that part the phones present alike are one.
        member, first = np.unique(member, axis=0, return_index=True)
        yes = member @ sums
        no = total - yes
        enough = np.minimum(yes[:, 0], no[:, 0]) >= LEAST_FRAMES
        if not enough.any():
            continue
        gain = log_likelihood(yes[enough]) + log_likelihood(no[enough]) - unsplit
        choices = first[enough]
        top = max(range(len(gain)), key=lambda i: (gain[i], -choices[i]))
        if gain[top] >= LEAST_GAIN and (best is None or gain[top] > best.gain):
            best = _Question(float(gain[top]), position, phone_sets[int(choices[top])])
    return best


def _frozen(cell: _GrowingNode, numbered: list[int]) -> Node:
    """Finish a node; its leaves take the next free pdfs, which `numbered` lists."""
    if cell.question is None:
        numbered.append(len(numbered))
        return Leaf(numbered[-1])
    position, phones = cell.question
    yes, no = (_frozen(child, numbered) for child in cell.children)
    return Split(position, tuple(sorted(phones)), yes, no)
