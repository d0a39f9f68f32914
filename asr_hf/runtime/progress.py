"""Progress of a loop: a bar on a terminal, and elsewhere a log line now and then."""

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
    """Wrap `items` in a progress bar; without items, the bar is to be updated by hand.

    Where the log is silent, nothing is shown.

    Args:
        items: items of the loop.
        desc: what is done, for the user.
        total: number of items, if they have no length.
        unit: name of an item.
        lines: whether log lines stand in for the bar where there is no terminal.

    Returns:
        The items, as a tqdm bar.
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
    """Logs the progress after ten seconds, and then every thirty seconds."""

    # Nothing is shown between two items, so tqdm's thread is not needed.
    monitor_interval = 0

    def __init__(self, items: Iterable[Any], **options: Any) -> None:
        self._due = time.monotonic() + _FIRST
        # With a file of its own, log lines do not take it for a bar that they must clear.
        super().__init__(
            items, file=io.StringIO(), miniters=1, mininterval=0.5, leave=False, **options
        )

    def display(self, msg: str | None = None, pos: int | None = None) -> None:
        """Log a line if one is due."""
        if msg == "" or not self.n or time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _EVERY
        log.info("%s", describe(self.format_dict))


def describe(state: Mapping[str, Any]) -> str:
    """Return the state of a progress bar as one line.

    Args:
        state: `format_dict` of the tqdm bar.
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
