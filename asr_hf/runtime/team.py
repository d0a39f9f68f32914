"""Work dealt to several processes, its results in order."""

from __future__ import annotations

import logging
import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar

from asr_hf.runtime.errors import RunError

S = TypeVar("S")
A = TypeVar("A")
B = TypeVar("B")

log = logging.getLogger(__name__)

_AHEAD = 4
# Seconds after which somebody who is waited for is named.
_LONG = 600.0


class Seat:
    """Where a worker keeps what it works with."""

    state: Any = None

    def take(self, make: Callable[[], Any]) -> None:
        """Make what later calls are given."""
        self.state = make()

    def call(self, function: Callable[[Any, Any], Any], argument: Any) -> Any:
        """Work on one item."""
        return function(self.state, argument)


class Worker(Protocol):
    """Somebody who does calls one after another; `name` is for messages."""

    name: str

    def take(self, make: Callable[[], Any]) -> Future[None]:
        """Begin: make what later calls are given."""
        ...

    def call(self, function: Callable[[Any, Any], Any], argument: Any) -> Future[Any]:
        """Work on one item, behind those before it."""
        ...

    def stop(self) -> None:
        """Begin nothing more."""
        ...

    def end(self) -> None:
        """Wait for what was begun, and drop what was made."""
        ...


class WorkerLost(Exception):
    """A worker is gone; says which one."""


class Team(Generic[S]):
    """Workers, each with a state of its own.

    Args:
        workers: those.
        make: called on each of them first; its result is the first argument of all calls.
        stage: what is being done, for messages.
        ahead: calls a worker that may wait for whoever takes the results, so that a slow disk does
            not fill the memory.
    """

    def __init__(
        self, workers: Sequence[Worker], make: Callable[[], S], stage: str, ahead: int = _AHEAD
    ) -> None:
        self._workers, self._stage, self._ahead = workers, stage, ahead
        self._begun = [worker.take(make) for worker in workers]

    @property
    def size(self) -> int:
        """The number of workers."""
        return len(self._workers)

    def map(self, function: Callable[[S, A], B], items: Iterable[A]) -> Iterator[B]:
        """The results of `function` on the items, in their order.

        Raises:
            RunError: a worker is gone.
        """
        waiting: deque[tuple[Worker, Future[B]]] = deque()
        dealt: list[list[Future[B]]] = [[] for _ in self._workers]
        with self._watched():
            for item in items:
                for mine in dealt:
                    mine[:] = [future for future in mine if not future.done()]
                number = min(range(self.size), key=lambda k: len(dealt[k]))
                future = self._workers[number].call(function, item)
                dealt[number].append(future)
                waiting.append((self._workers[number], future))
                if len(waiting) >= max(1, self._ahead * self.size):
                    yield self._result(*waiting.popleft())
            while waiting:
                yield self._result(*waiting.popleft())

    def each(self, function: Callable[[S, A], B], arguments: Sequence[A]) -> list[B]:
        """The results of one call on each worker, at the same time.

        Args:
            function: what is called.
            arguments: one for each worker.

        Raises:
            RunError: a worker is gone.
        """
        with self._watched():
            pairs = zip(self._workers, arguments, strict=True)
            return [self._result(*one) for one in [(w, w.call(function, a)) for w, a in pairs]]

    def _result(self, worker: Worker, future: Future[B]) -> B:
        """What came of a call; who takes long for it is named now and then."""
        start = time.monotonic()
        while True:
            try:
                return future.result(_LONG)
            except TimeoutError:
                if future.done():
                    raise
            minutes = (time.monotonic() - start) / 60
            log.warning("%s: waiting for %s, for %.0f minutes", self._stage, worker.name, minutes)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            while self._begun:
                self._begun.pop().result()
            yield
        except BrokenProcessPool as error:
            raise RunError(
                f"{self._stage}: a process died, perhaps for want of memory",
                remedy="use fewer processes (jobs)",
            ) from error
        except WorkerLost as error:
            raise RunError(
                f"{self._stage}: {error}",
                remedy="see whether it was killed, for want of memory perhaps; the same command "
                "continues",
            ) from error


def as_it_is(state: S) -> S:
    """What `make` is, by functools.partial, where there is nothing to make."""
    return state


_helpers: list[Callable[[], Worker]] = []


@contextmanager
def helped_by(helpers: Sequence[Callable[[], Worker]]) -> Iterator[None]:
    """Let every team of the block be made of `helpers`, in place of processes of this machine."""
    _helpers[:] = helpers
    try:
        yield
    finally:
        _helpers.clear()


@contextmanager
def team(make: Callable[[], S], jobs: int, stage: str) -> Iterator[Team[S]]:
    """Workers for one stage: processes of this machine, or the helpers that there are.

    Args:
        make: picklable; called on each worker.
        jobs: processes; with one, and without helpers, all is done in this process.
        stage: what is being done, for messages.
    """
    workers: list[Worker]
    if _helpers:
        workers = [hire() for hire in _helpers]
    else:
        workers = [_Process(number) for number in range(jobs)] if jobs > 1 else [_Here()]
    try:
        yield Team(workers, make, stage, 0 if isinstance(workers[0], _Here) else _AHEAD)
    finally:
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.end()


class _Here:
    """This process: does each call at once."""

    name = "this process"

    def __init__(self) -> None:
        self._seat = Seat()

    def take(self, make: Callable[[], Any]) -> Future[None]:
        """See `Worker`."""
        return _done(self._seat.take, make)

    def call(self, function: Callable[[Any, Any], Any], argument: Any) -> Future[Any]:
        """See `Worker`."""
        return _done(self._seat.call, function, argument)

    def stop(self) -> None:
        """See `Worker`."""

    def end(self) -> None:
        """See `Worker`."""


def _done(function: Callable[..., Any], *arguments: Any) -> Future[Any]:
    future: Future[Any] = Future()
    try:
        future.set_result(function(*arguments))
    except Exception as error:
        future.set_exception(error)
    return future


_SEAT = Seat()


def _take(make: Callable[[], Any]) -> None:
    _SEAT.take(make)


def _call(function: Callable[[Any, Any], Any], argument: Any) -> Any:
    return _SEAT.call(function, argument)


class _Process:
    """A process of this machine with one thread."""

    def __init__(self, number: int) -> None:
        self.name = f"process {number}"
        # Forking a process that holds torch's thread pool can hang, so it starts afresh.
        spawn = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(1, spawn, initializer=_one_thread)

    def take(self, make: Callable[[], Any]) -> Future[None]:
        """See `Worker`."""
        return self._pool.submit(_take, make)

    def call(self, function: Callable[[Any, Any], Any], argument: Any) -> Future[Any]:
        """See `Worker`."""
        return self._pool.submit(_call, function, argument)

    def stop(self) -> None:
        """See `Worker`."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def end(self) -> None:
        """See `Worker`."""
        self._pool.shutdown()


def _one_thread() -> None:
    # Before NumPy and torch are loaded.
    os.environ["OMP_NUM_THREADS"] = "1"
