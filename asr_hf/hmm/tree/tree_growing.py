"""Growing decision trees that tie the states of phones in context."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm.tree.tree_statistics import ContextStatistics, Moments, log_likelihood
from asr_hf.kaldi.tree import PDF_CLASS, ContextDependency, Leaf, Node, Split, Table
from asr_hf.runtime.errors import InputError

# Triphones.
WIDTH = 3
CENTRE = 1
# A question must make the data this much likelier, in nats; neighbouring frames say nearly the
# same, so that a gain by chance is larger than independent frames' would be (Kaldi's default).
LEAST_GAIN = 300.0
# Frames on either side of a question.
LEAST_FRAMES = 50.0


@dataclass
class _Cell:
    """A node while the tree grows; a leaf as long as `question` is None.

    Attributes:
        contexts: the (before, after) pairs of its items [items, 2].
        moments: of its items [items, 1 + 2 dim].
        question: position and phones of the question that parted it.
        children: yes and no.
    """

    contexts: NDArray[np.int64]
    moments: Moments
    question: tuple[int, frozenset[int]] | None = None
    children: list[_Cell] = field(default_factory=list)


@dataclass(frozen=True)
class _Best:
    gain: float
    position: int
    phones: frozenset[int]


def grow_tree(
    statistics: ContextStatistics,
    phone_states: Mapping[int, int],
    asked: Sequence[frozenset[int]],
    untied: Sequence[int],
    states: int,
) -> ContextDependency:
    """A tree of at most `states` leaves, always parting the leaf where it gains most.

    Every state of every phone has a root of its own, so that phones share no pdfs (Young, Odell
    and Woodland, Tree-Based State Tying for High Accuracy Acoustic Modelling, 1994).

    Args:
        statistics: of the contexts seen.
        phone_states: the number of states of each phone id, 1 to the last.
        asked: the questions.
        untied: phones without context (silence).
        states: the most leaves.

    Raises:
        InputError: the phones alone have more states than that.
    """
    roots = {
        (phone, state): _root(statistics, phone, state)
        for phone, count in sorted(phone_states.items())
        for state in range(count)
    }
    if states < len(roots):
        raise InputError(
            f"alignment.tree.states={states}",
            expected=f"{len(roots)} or more: the states of phones without context",
            remedy="raise it, or use alignment=monophone",
        )
    may_grow = [cell for (phone, _), cell in roots.items() if phone not in untied]
    _part(may_grow, asked, states - len(roots))
    numbered: list[int] = []
    trees: dict[int, list[Node]] = {}
    for (phone, _), cell in roots.items():
        trees.setdefault(phone, []).append(_frozen(cell, numbered))
    phones = [Table(PDF_CLASS, tuple(trees[phone])) for phone in sorted(trees)]
    return ContextDependency(WIDTH, CENTRE, Table(CENTRE, (None, *phones)))


def _root(statistics: ContextStatistics, phone: int, state: int) -> _Cell:
    mine = (statistics.contexts[:, 1] == phone) & (statistics.contexts[:, 3] == state)
    return _Cell(statistics.contexts[mine][:, [0, 2]], statistics.moments[mine])


def _part(cells: Sequence[_Cell], asked: Sequence[frozenset[int]], times: int) -> None:
    """Part leaves, the greatest gain first, `times` times at most."""
    queue: list[tuple[float, int, _Cell, _Best]] = []
    pushed = 0

    def consider(cell: _Cell) -> None:
        nonlocal pushed
        if (best := _best_question(cell, asked)) is not None:
            heapq.heappush(queue, (-best.gain, pushed, cell, best))
        pushed += 1

    for cell in cells:
        consider(cell)
    while queue and times > 0:
        _, _, cell, best = heapq.heappop(queue)
        phones = np.asarray(sorted(best.phones))
        yes = np.isin(cell.contexts[:, best.position // 2], phones)
        cell.question = best.position, best.phones
        cell.children = [_Cell(cell.contexts[s], cell.moments[s]) for s in (yes, ~yes)]
        for child in cell.children:
            consider(child)
        times -= 1


def _best_question(cell: _Cell, asked: Sequence[frozenset[int]]) -> _Best | None:
    """The question with the largest gain, the first among equals; None when none is worth it."""
    if len(cell.contexts) < 2:
        return None
    total = cell.moments.sum(axis=0)
    whole = float(log_likelihood(total))
    best: _Best | None = None
    for side, position in enumerate((0, 2)):
        present, rows = np.unique(cell.contexts[:, side], return_inverse=True)
        sums = np.zeros((len(present), cell.moments.shape[1]))
        np.add.at(sums, rows, cell.moments)
        member = np.asarray([[int(p) in phones for p in present] for phones in asked], np.float64)
        # Questions that part the phones present alike are one.
        member, first = np.unique(member, axis=0, return_index=True)
        yes = member @ sums
        no = total - yes
        enough = np.minimum(yes[:, 0], no[:, 0]) >= LEAST_FRAMES
        if not enough.any():
            continue
        gain = log_likelihood(yes[enough]) + log_likelihood(no[enough]) - whole
        choices = first[enough]
        top = max(range(len(gain)), key=lambda i: (gain[i], -choices[i]))
        if gain[top] >= LEAST_GAIN and (best is None or gain[top] > best.gain):
            best = _Best(float(gain[top]), position, asked[int(choices[top])])
    return best


def _frozen(cell: _Cell, numbered: list[int]) -> Node:
    """The finished node; its leaves take the next free pdfs, which `numbered` lists."""
    if cell.question is None:
        numbered.append(len(numbered))
        return Leaf(numbered[-1])
    position, phones = cell.question
    yes, no = (_frozen(child, numbered) for child in cell.children)
    return Split(position, tuple(sorted(phones)), yes, no)
