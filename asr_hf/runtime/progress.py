"""Progress bars: shown on a terminal, silent elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(
    items: Iterable[T] = (), *, desc: str, total: int | None = None, unit: str = "it"
) -> tqdm[T]:
    """Wrap `items` in a progress bar; without items, one to be updated by hand."""
    return tqdm(
        items,
        desc=desc,
        total=total,
        unit=unit,
        disable=not sys.stderr.isatty(),
        dynamic_ncols=True,
        leave=False,
        delay=1.0,
    )
