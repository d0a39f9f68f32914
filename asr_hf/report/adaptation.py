"""The table of word error rates before and after adaptation, for the terminal and the report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from asr_hf.report.columns import in_columns

TITLES = ("set", "words", "before", "after", "change", "95 % interval")
_UNKNOWN = "–"


def cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the cells of a set below `TITLES`.

    Args:
        row: what asr-hf adapt has found for the set, as in result.json.
    """
    before, relative, change, interval = row["before"], None, _UNKNOWN, _UNKNOWN
    if before is not None:
        relative = row["relative"]
        interval = "{:+.1f} to {:+.1f} points".format(*row["interval"])
    if relative is not None:
        change = f"{relative:+.1f} %"
    return (
        f"{row['corpus']} {row['set']}",
        str(row["after"]["words"]),
        _UNKNOWN if before is None else _percent(before),
        _percent(row["after"]),
        change,
        interval,
    )


def _percent(result: Mapping[str, Any]) -> str:
    return f"{result['percent']:.1f} %"


def terminal_table(rows: Iterable[Mapping[str, Any]]) -> str:
    """Lay the table out for the terminal."""
    return "\n".join("  ".join(line) for line in in_columns([TITLES, *map(cells, rows)]))
