"""Writes Praat's TextGrids in the long text form (Praat manual, "TextGrid file formats")."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

# Digits behind the point of a second: microseconds.
_DIGITS = 6


@dataclass(frozen=True)
class Interval:
    """A labelled stretch of time (seconds)."""

    start: float
    end: float
    label: str


@dataclass(frozen=True)
class Tier:
    """A tier of intervals that follow one another, with gaps between them or without."""

    name: str
    intervals: Sequence[Interval]


def textgrid(tiers: Sequence[Tier], seconds: float) -> str:
    """Return the text of a TextGrid, which is to be written as UTF-8.

    Gaps become intervals without text: a tier of intervals covers the whole time.

    Args:
        tiers: tiers.
        seconds: duration of the audio.

    Raises:
        ValueError: intervals of a tier overlap, are empty or lie outside the audio.
    """
    end = _number(seconds)
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {end}",
        "tiers? <exists>",
        f"size = {len(tiers)}",
        "item []:",
    ]
    for number, tier in enumerate(tiers, start=1):
        covering = _covering(tier, seconds)
        lines += [
            f"    item [{number}]:",
            '        class = "IntervalTier"',
            f"        name = {_quoted(tier.name)}",
            "        xmin = 0",
            f"        xmax = {end}",
            f"        intervals: size = {len(covering)}",
        ]
        for place, interval in enumerate(covering, start=1):
            lines += [
                f"        intervals [{place}]:",
                f"            xmin = {_number(interval.start)}",
                f"            xmax = {_number(interval.end)}",
                f"            text = {_quoted(interval.label)}",
            ]
    return "\n".join(lines) + "\n"


def _covering(tier: Tier, seconds: float) -> list[Interval]:
    """Return the intervals of a tier, with one without text in every gap."""
    covering: list[Interval] = []
    at = 0.0
    for interval in _rounded(tier.intervals):
        if not at <= interval.start < interval.end <= round(seconds, _DIGITS):
            raise ValueError(
                f"tier {tier.name}: {interval.label!r} from {interval.start} to {interval.end} s, "
                f"behind {at} s and within {seconds} s"
            )
        if interval.start > at:
            covering.append(Interval(at, interval.start, ""))
        covering.append(interval)
        at = interval.end
    if at < round(seconds, _DIGITS):
        covering.append(Interval(at, seconds, ""))
    return covering


def _rounded(intervals: Iterable[Interval]) -> Iterable[Interval]:
    return (Interval(round(i.start, _DIGITS), round(i.end, _DIGITS), i.label) for i in intervals)


def _number(seconds: float) -> str:
    return f"{seconds:.{_DIGITS}f}".rstrip("0").rstrip(".")


def _quoted(text: str) -> str:
    """Return a text in Praat's form: in quotes, those inside it doubled."""
    return '"' + text.replace('"', '""') + '"'
