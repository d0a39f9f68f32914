"""Work in several processes, its results in order."""

from __future__ import annotations

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from asr_hf.runtime.errors import RunError

A = TypeVar("A")
B = TypeVar("B")

_AHEAD = 4


@contextmanager
def in_order(
    function: Callable[[A], B],
    items: Iterable[A],
    jobs: int,
    stage: str,
    prepare: Callable[[], None] | None = None,
) -> Iterator[Iterator[B]]:
    """Yield the results of `function` on `items`, in their order.

    Processes run at most 4 * jobs items ahead of whoever takes the results, so that a slow disk
    does not fill the memory with what waits to be written.

    Args:
        function: picklable, as items and results are.
        items: what it is called on.
        jobs: processes; with one, all is done in this process.
        stage: what is being done, for messages.
        prepare: called first in each process, but not in this one.

    Raises:
        RunError: a process died.
    """
    if jobs <= 1:
        yield map(function, items)
        return
    # Forking a process that holds torch's thread pool can hang, so workers start afresh.
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, spawn, initializer=prepare)
    try:
        yield _results(pool, function, items, _AHEAD * jobs)
    except BrokenProcessPool as error:
        raise RunError(
            f"{stage}: a process died, perhaps for want of memory",
            remedy="use fewer processes (jobs)",
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _results(
    pool: ProcessPoolExecutor, function: Callable[[A], B], items: Iterable[A], ahead: int
) -> Iterator[B]:
    waiting: deque[Future[B]] = deque()
    for item in items:
        if len(waiting) == ahead:
            yield waiting.popleft().result()
        waiting.append(pool.submit(function, item))
    while waiting:
        yield waiting.popleft().result()
