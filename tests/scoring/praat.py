"""A strict reader of Praat's long text form, written from the Praat manual."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_HEAD = re.compile(
    r'File type = "ooTextFile"\nObject class = "TextGrid"\n\n'
    r"xmin = (?P<xmin>\S+)\nxmax = (?P<xmax>\S+)\ntiers\? <exists>\nsize = (?P<size>\d+)\n"
    r"item \[\]:\n"
)
_TIER = re.compile(
    r' {4}item \[(?P<number>\d+)\]:\n {8}class = "IntervalTier"\n'
    r' {8}name = "(?P<name>(?:[^"]|"")*)"\n'
    r" {8}xmin = (?P<xmin>\S+)\n {8}xmax = (?P<xmax>\S+)\n"
    r" {8}intervals: size = (?P<size>\d+)\n"
)
_INTERVAL = re.compile(
    r" {8}intervals \[(?P<number>\d+)\]:\n {12}xmin = (?P<xmin>\S+)\n {12}xmax = (?P<xmax>\S+)\n"
    r' {12}text = "(?P<text>(?:[^"]|"")*)"\n'
)


@dataclass
class PraatTier:
    name: str
    intervals: list[tuple[float, float, str]] = field(default_factory=list)

    @property
    def spoken(self) -> list[tuple[float, float, str]]:
        return [interval for interval in self.intervals if interval[2]]


def read_textgrid(text: str) -> tuple[float, list[PraatTier]]:
    """Read a TextGrid: its duration and tiers. Each covers the whole time without a gap."""
    head = _HEAD.match(text)
    assert head and float(head["xmin"]) == 0
    end, at, tiers = float(head["xmax"]), head.end(), []
    for number in range(1, int(head["size"]) + 1):
        found = _TIER.match(text, at)
        assert found and int(found["number"]) == number, text[at : at + 200]
        assert float(found["xmin"]) == 0 and float(found["xmax"]) == end
        tier, at, time = PraatTier(found["name"].replace('""', '"')), found.end(), 0.0
        for place in range(1, int(found["size"]) + 1):
            one = _INTERVAL.match(text, at)
            assert one and int(one["number"]) == place, text[at : at + 200]
            assert float(one["xmin"]) == time < float(one["xmax"])
            time, at = float(one["xmax"]), one.end()
            tier.intervals.append((float(one["xmin"]), time, one["text"].replace('""', '"')))
        assert time == end
        tiers.append(tier)
    assert at == len(text)
    return end, tiers
