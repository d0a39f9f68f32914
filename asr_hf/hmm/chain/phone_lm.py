"""The denominator's phone language model, without back-off (Povey et al. 2016, section 2.5)."""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

# The start of a sentence, as a phone before the first one.
START = 0
# Phones of the past that no state does without: with fewer, a few loud phones would explain much.
LEAST_HISTORY = 2
History = tuple[int, ...]


@dataclass(frozen=True)
class PhoneLm:
    """States that are the phones last said, and what follows each.

    Args:
        states: the phones last said, of each state; the first one's are `START`.
        follows: probability of each phone that may come next, by state; 1 in all.
    """

    states: tuple[History, ...]
    follows: tuple[Mapping[int, float], ...]

    @property
    def numbers(self) -> dict[History, int]:
        """The number of each state, by the phones last said."""
        return {history: number for number, history in enumerate(self.states)}


def train_phone_lm(sentences: Iterable[Sequence[int]], order: int, more_states: int) -> PhoneLm:
    """Count what follows what, and keep the long histories that tell the most.

    Probabilities are those of the training data, unsmoothed: in the denominator a sentence that
    never occurs costs nothing, and back-off arcs would make the graph many times larger. A history
    of two phones is always told apart. Of the longer ones those are kept, the best first, that
    make the training data likelier the most.

    Args:
        sentences: phone ids of each utterance, from 1.
        order: phones of an n-gram, 3 or more.
        more_states: largest number of states for histories longer than two phones.

    Returns:
        The model.

    Raises:
        ValueError: there is no sentence, or the order is too small.
    """
    return phone_lm(_counted(sentences, order), order, more_states)


def phone_lm(counts: Mapping[History, Counter[int]], order: int, more_states: int) -> PhoneLm:
    """Make the model of counts; see `train_phone_lm`.

    Args:
        counts: counts of each phone after the up to `order` - 1 phones before it. The two phones
            that were said last somewhere have an entry, if an empty one.
        order: phones of an n-gram, 3 or more.
        more_states: largest number of states for histories longer than two phones.

    Returns:
        The model.

    Raises:
        ValueError: nothing was counted, or the order is too small.
    """
    if order <= LEAST_HISTORY:
        raise ValueError(f"a phone language model of order {order}; needs 3 or more")
    if not counts:
        raise ValueError("no sentence to count phones in")
    kept = _chosen(counts, order, more_states)
    states = [(START,), *sorted(set(kept) - {(START,)})]
    totals = [kept[state] for state in states]
    follows = tuple(
        {phone: n / total.total() for phone, n in sorted(total.items())} for total in totals
    )
    return PhoneLm(tuple(states), follows)


def _counted(sentences: Iterable[Sequence[int]], order: int) -> dict[History, Counter[int]]:
    counts: dict[History, Counter[int]] = defaultdict(Counter)
    for sentence in sentences:
        padded = [START, *sentence]
        for place in range(1, len(padded)):
            counts[tuple(padded[max(0, place + 1 - order) : place])][padded[place]] += 1
        if sentence:
            # What is said last has a state, from which nothing follows.
            counts.setdefault(tuple(padded[-LEAST_HISTORY:]), Counter())
    return counts


def longest_known(history: Sequence[int], numbers: Mapping[History, int]) -> int | None:
    """Return the state of the longest end of a history that has one; None where none has."""
    for start in range(len(history)):
        if (number := numbers.get(tuple(history[start:]))) is not None:
            return number
    return None


def _chosen(
    counts: Mapping[History, Counter[int]], order: int, more_states: int
) -> dict[History, Counter[int]]:
    """Choose the histories that have states.

    From the shortest histories up, each level is split as far as it pays. A history can be kept
    only below one that is, and only behind one that is: a graph whose states are these histories
    then comes to it from there, and else would look for its phones where they are not counted.

    Returns:
        The histories, and the counts of what follows where no longer one is known.
    """
    kept: dict[History, Counter[int]] = defaultdict(Counter)
    for history, following in counts.items():
        short = history if len(history) <= LEAST_HISTORY else history[-LEAST_HISTORY:]
        kept[short] += following
        kept.setdefault(short, Counter())
    left = more_states
    for length in range(LEAST_HISTORY + 1, order):
        own: dict[History, Counter[int]] = defaultdict(Counter)
        for history, following in counts.items():
            longer = history[-length:]
            if len(longer) == length and longer[1:] in kept and longer[:-1] in kept:
                own[longer] += following
        left -= _split(kept, own, left)
    return kept


def _split(
    kept: dict[History, Counter[int]], own: Mapping[History, Counter[int]], most: int
) -> int:
    """Give states to histories, the one that makes the data likeliest first.

    What a state has left changes with each one that is split off it, so that a gain is computed
    again before it counts.

    Returns:
        The number of histories that have got one.
    """
    queue = [(-_gain(kept[h[1:]], following), h) for h, following in own.items() if following]
    heapq.heapify(queue)
    done = 0
    while queue and done < most:
        _, history = heapq.heappop(queue)
        parent = kept[history[1:]]
        today = -_gain(parent, own[history])
        if queue and today > queue[0][0]:
            heapq.heappush(queue, (today, history))
            continue
        if today >= 0:
            break
        kept[history] = Counter(own[history])
        parent.subtract(own[history])
        kept[history[1:]] = +parent
        done += 1
    return done


def _gain(parent: Counter[int], part: Counter[int]) -> float:
    """Return by how much the data become likelier when a part of a state's counts has its own."""
    rest = Counter({phone: n - part[phone] for phone, n in parent.items() if n > part[phone]})
    return _log_likelihood(part) + _log_likelihood(rest) - _log_likelihood(parent)


def _log_likelihood(counts: Counter[int]) -> float:
    total = counts.total()
    return sum(n * math.log(n / total) for n in counts.values() if n)
