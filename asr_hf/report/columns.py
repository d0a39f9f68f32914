"""Lays cells of text out in columns."""

from __future__ import annotations

from collections.abc import Sequence


def in_columns(rows: Sequence[Sequence[str]], left: int = 1) -> list[list[str]]:
    """Return the cells of a table's rows, padded to the widths of their columns.

    Args:
        rows: cells of each row, as many in all of them.
        left: number of columns, from the first, that are aligned to the left.

    >>> in_columns([["set", "words"], ["test", "7"]])
    [['set ', 'words'], ['test', '    7']]
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        [
            cell.ljust(width) if number < left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in rows
    ]
