"""Progress: a bar on a terminal, a line of the log now and then elsewhere."""

from __future__ import annotations

import io
import logging
import sys
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from tqdm import tqdm

log = logging.getLogger(__name__)

T = TypeVar("T")

if TYPE_CHECKING:
    _Bar = tqdm[Any]
else:
    _Bar = tqdm

# Seconds until the first line, and between lines.
_FIRST, _EVERY = 10.0, 30.0


def progress(
    items: Iterable[T] = (),
    *,
    desc: str,
    total: int | None = None,
    unit: str = "it",
    lines: bool = True,
) -> tqdm[T]:
    """Wrap `items` in a progress bar; without items, one to be updated by hand.

    Where the log is silent, so is progress.

    Args:
        items: what is gone through.
        desc: what is done.
        total: how many items there are, where they do not tell.
        unit: what an item is.
        lines: whether there are lines where there is no terminal; not where the log tells anyway.
    """
    if sys.stderr.isatty():
        shown = log.isEnabledFor(logging.WARNING)
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
    shown = lines and log.isEnabledFor(logging.INFO)
    return _Lines(items, desc=desc, total=total, unit=unit, disable=not shown)


class _Lines(_Bar):
    """Logs how far things are, after ten seconds and every thirty from then on."""

    # Nobody looks at it between two items: there is no thread that would.
    monitor_interval = 0

    def __init__(self, items: Iterable[Any], **options: Any) -> None:
        self._due = time.monotonic() + _FIRST
        # With a file of its own, lines of the log do not take it for a bar to clear.
        super().__init__(
            items, file=io.StringIO(), miniters=1, mininterval=0.5, leave=False, **options
        )

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Log a line where one is due."""
        if msg == "" or not self.n or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _EVERY
        log.info("%s", describe(self.format_dict))


def describe(state: Mapping[str, Any]) -> str:
    """Return how far things are, in one line.

    Args:
        state: tqdm's `format_dict`.
    """
    done, total, elapsed, unit = (state[key] for key in ("n", "total", "elapsed", "unit"))
    line = f"{state['prefix'].removesuffix(': ')}: {done} "
    if total:
        line += f"of {total} {unit} ({done / total:.0%})"
    else:
        line += unit
    line += f" in {tqdm.format_interval(elapsed)}"
    if total and elapsed > 0 and done < total:
        line += f", {tqdm.format_interval(elapsed / done * (total - done))} left"
    return line
