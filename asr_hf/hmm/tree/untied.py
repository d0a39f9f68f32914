"""States of phones that need no alignment: nothing is measured to tie them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum
from itertools import count

from asr_hf.hmm.tree.sampled_states import CHAIN
from asr_hf.hmm.tree.tree_growing import BEFORE, CENTRE
from asr_hf.kaldi.tree import PDF_CLASS, ContextDependency, Leaf, Node, Table


class FlatContext(StrEnum):
    """What the pdfs of a phone depend on.

    MONO is the phone alone; LEFT is the phone and the one before it.
    """

    MONO = "mono"
    LEFT = "left"


def untied_tree(
    phones: int,
    noises: Collection[int] = (),
    pairs: Mapping[tuple[int, int], float] | None = None,
    least: float = 0.0,
) -> ContextDependency:
    """Make the tree of states that are tied by nothing but how often they are met.

    Each phone has a pdf for its first frame and one for the others. With counts of pairs, it has
    two more after each phone that it often follows (Hadian et al. 2018: full biphones).

    Args:
        phones: largest phone id.
        noises: ids of silence and noises, which have no context.
        pairs: counts of each phone after another one, 0 at the start; None for no contexts.
        least: least count of a pair that has pdfs of its own.

    Returns:
        The tree.
    """
    numbers = count()

    def leaves() -> tuple[Leaf, ...]:
        return tuple(Leaf(next(numbers)) for _ in range(CHAIN.count))

    def states(phone: int) -> tuple[Node, ...]:
        own = {
            before: leaves()
            for before in range(phones + 1)
            if pairs is not None and phone not in noises and pairs.get((before, phone), 0) >= least
        }
        others = leaves() if len(own) <= phones else ()
        if not own:
            return others
        return tuple(
            Table(BEFORE, tuple(own.get(n, others)[state] for n in range(phones + 1)))
            for state in range(CHAIN.count)
        )

    branches = [Table(PDF_CLASS, states(phone)) for phone in range(1, phones + 1)]
    return ContextDependency(2, CENTRE, Table(CENTRE, (None, *branches)))
