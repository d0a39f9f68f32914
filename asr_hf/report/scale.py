"""Maps values to positions on an axis, chooses ticks, and formats numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

_SUFFIXES = {"k": 1e3, "M": 1e6, "G": 1e9}
_MOST_DIGITS = 9


@dataclass(frozen=True)
class Scale:
    """Maps values to positions.

    Args:
        low: value at position `start`.
        high: value at position `end`.
        start: first position, in user units of the drawing.
        end: last position, in user units of the drawing.
        logarithmic: whether equal ratios have equal lengths.
    """

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        """Return the position of a value."""
        low, high = self.low, self.high
        if self.logarithmic:
            low, high, value = math.log10(low), math.log10(high), math.log10(value)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def ticks(self, count: int = 5, *, whole: bool = False) -> list[float]:
        """Return round values inside the range.

        Args:
            count: about how many there are.
            whole: whether they are whole numbers; for linear scales.

        Returns:
            The values, rising.
        """
        if not self.logarithmic:
            return _round_values(self.low, self.high, count, whole=whole)
        decades = [
            10.0**k
            for k in range(math.ceil(math.log10(self.low)), math.floor(math.log10(self.high)) + 1)
        ]
        if len(decades) >= 3:
            return decades[:: math.ceil(len(decades) / count)]
        finer = [m * 10.0**k for k in _decades(self.low, self.high) for m in (1, 2, 5)]
        finer = [value for value in finer if self.low <= value <= self.high]
        # Inside a short range lie none of these, or one.
        return finer if len(finer) > 1 else _round_values(self.low, self.high, count)


def fit(
    values: Iterable[float],
    start: float,
    end: float,
    *,
    logarithmic: bool = False,
    from_zero: bool = False,
) -> Scale:
    """Return a scale that holds all values, with a margin where it does not start at zero.

    Args:
        values: values to be shown.
        start: first position, in user units of the drawing.
        end: last position, in user units of the drawing.
        logarithmic: whether the scale is logarithmic; values that are not positive are left out.
        from_zero: whether the scale starts at zero, if no value is negative.
    """
    listed = [value for value in values if not logarithmic or value > 0]
    if not listed:
        listed = [0.1, 1.0] if logarithmic else [0.0, 1.0]
    low, high = min(listed), max(listed)
    if logarithmic:
        margin = max(1.15, (high / low) ** 0.05)
        return Scale(low / margin, high * margin, start, end, logarithmic=True)
    if from_zero and low >= 0:
        return Scale(0.0, high * 1.05 or 1.0, start, end)
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 0.5
    return Scale(low - margin, high + margin, start, end)


def readable_top(values: Sequence[float]) -> float | None:
    """Return the value above which a falling curve's steep start is cut off; None for no cut."""
    if not values:
        return None
    lowest = min(values)
    top = lowest + 4 * (median(values) - lowest)
    return top if lowest < top < max(values) else None


def top_of_start(curves: Sequence[Sequence[float]]) -> float | None:
    """Return where to cut off the steep starts of curves, but nothing that comes after them.

    Args:
        curves: values of each curve in their order; what follows the lowest one is no start.

    Returns:
        The value above which only starts lie; None for no cut.
    """
    curves = [values for values in curves if values]
    top = readable_top([value for values in curves for value in values])
    if top is None:
        return None
    top = max(top, *(max(values[values.index(min(values)) :]) for values in curves))
    return top if top < max(map(max, curves)) else None


def shared_top(curves: Sequence[Sequence[float]]) -> float | None:
    """Return where to cut off the steep starts of several falling curves, but never a whole one.

    Args:
        curves: values of each curve in their order.

    Returns:
        The value above which nothing is shown; None for no cut.
    """
    curves = [values for values in curves if values]
    top = readable_top([value for values in curves for value in values])
    if top is None:
        return None
    lowest, worst = (choose(map(min, curves)) for choose in (min, max))
    return max(top, worst + 0.3 * (worst - lowest))


def si(value: float, digits: int = 3) -> str:
    """Return a number as text of about four characters.

    Args:
        value: the number.
        digits: significant digits, two fewer below a thousandth.

    Returns:
        The text.

    >>> si(0.25), si(3400), si(120e6)
    ('0.25', '3.4k', '120M')
    """
    size = abs(value)
    for suffix, limit in reversed(_SUFFIXES.items()):
        # What rounds to a thousand of the smaller unit is one of the larger.
        if float(f"{size:.{digits}g}") >= limit:
            return f"{value / limit:.{digits}g}{suffix}"
    if size and size < 1e-3:
        mantissa, exponent = f"{value:.{max(0, digits - 3)}e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:.{digits}g}"


def tick_labels(values: Sequence[float]) -> list[str]:
    """Return the texts of ticks, with as many digits as their distances ask for.

    >>> tick_labels([0.5, 1.0, 1.5]), tick_labels([1.2345, 1.235, 1.2355])
    (['0.5', '1', '1.5'], ['1.2345', '1.235', '1.2355'])
    """
    least = min((b - a for a, b in pairwise(values)), default=math.inf)
    for digits in range(3, _MOST_DIGITS):
        texts = [si(value, digits) for value in values]
        if all(
            abs(_number(text) - value) <= 0.01 * min(least, abs(value))
            for text, value in zip(texts, values, strict=True)
        ):
            return texts
    return [si(value, _MOST_DIGITS) for value in values]


def duration(seconds: float) -> str:
    """Return a duration as text.

    >>> duration(8.4), duration(200), duration(7500)
    ('8.4 s', '3 min 20 s', '2 h 05 min')
    """
    if seconds < 100:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def time_unit(seconds: float) -> tuple[float, str]:
    """Return the unit for drawing a span of so many seconds: its length in seconds and its name."""
    for length, name in ((3600.0, "hours"), (60.0, "minutes")):
        if seconds > 3 * length:
            return length, name
    return 1.0, "seconds"


def _number(text: str) -> float:
    """Return the number that `si` has written."""
    if text[-1] in _SUFFIXES:
        return float(text[:-1]) * _SUFFIXES[text[-1]]
    return float(text)


def _round_values(low: float, high: float, count: int, *, whole: bool = False) -> list[float]:
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    steps = [m * power for m in (1, 2, 2.5, 5, 10)]
    if whole:
        steps = [step for step in steps if step >= 1 and step == round(step)] or [1.0]
    step = min(steps, key=lambda s: abs(s - rough))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def _decades(low: float, high: float) -> range:
    return range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
