"""Progress bars: shown on a terminal, silent elsewhere."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from typing import TypeVar

from tqdm import tqdm

T = TypeVar("T")


def progress(
    items: Iterable[T] = (), *, desc: str, total: int | None = None, unit: str = "it"
) -> tqdm[T]:
    """Wrap `items` in a progress bar; without items, one to be updated by hand.

    Where the log is silent, so are bars.
    """
    shown = sys.stderr.isatty() and logging.getLogger(__name__).isEnabledFor(logging.WARNING)
    return tqdm(
        items,
        desc=desc,
        total=total,
        unit=unit,
        disable=not shown,
        dynamic_ncols=True,
        leave=False,
        delay=1.0,
    )
