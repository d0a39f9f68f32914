"""Deals work to several workers, and returns their results in order."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Generic, TypeVar

from asr_hf.runtime.errors import RunError
from asr_hf.runtime.workers import InProcessWorker, M, ProcessWorker, S, Task, Worker, WorkerLost

A = TypeVar("A")
B = TypeVar("B")

log = logging.getLogger(__name__)

_MAX_WAITING = 4
# Seconds after which the log names the worker that is waited for.
_LONG = 600.0


class WorkerPool(Generic[S]):
    """Workers that do the calls of one task, each with a state of its own.

    Args:
        workers: the workers.
        task: task of the workers; the state that it makes is the first argument of every call.
        argument: argument that each worker makes its state from.
        stage: work that is being done, for messages.
        max_waiting: largest number of results for each worker that wait to be taken, so that a
            slow disk does not fill the memory.
    """

    def __init__(
        self,
        workers: Sequence[Worker],
        task: Task[M, S],
        argument: M,
        stage: str,
        max_waiting: int = _MAX_WAITING,
    ) -> None:
        self._workers, self._stage, self._max_waiting = workers, stage, max_waiting
        self._starting = [worker.take(task, argument) for worker in workers]

    @property
    def size(self) -> int:
        """The number of workers."""
        return len(self._workers)

    def map(self, function: Callable[[S, A], B], items: Iterable[A]) -> Iterator[B]:
        """Yield the results of `function` on the items, in the order of the items.

        Args:
            function: one of the task's calls.
            items: arguments of the calls; they are taken as workers become free.

        Raises:
            RunError: a worker is gone.
        """
        waiting: deque[tuple[Worker, Future[B]]] = deque()
        dealt: list[list[Future[B]]] = [[] for _ in self._workers]
        with self._watched():
            for item in items:
                for futures in dealt:
                    futures[:] = [future for future in futures if not future.done()]
                number = min(range(self.size), key=lambda k: len(dealt[k]))
                future = self._workers[number].call(function, item)
                dealt[number].append(future)
                waiting.append((self._workers[number], future))
                if len(waiting) >= max(1, self._max_waiting * self.size):
                    yield self._result(*waiting.popleft())
            while waiting:
                yield self._result(*waiting.popleft())

    def each(self, function: Callable[[S, A], B], arguments: Sequence[A]) -> list[B]:
        """Return the results of one call on each worker, at the same time.

        Args:
            function: one of the task's calls.
            arguments: argument of each worker.

        Raises:
            RunError: a worker is gone.
        """
        with self._watched():
            pairs = zip(self._workers, arguments, strict=True)
            calls = [(worker, worker.call(function, argument)) for worker, argument in pairs]
            return [self._result(worker, future) for worker, future in calls]

    def _result(self, worker: Worker, future: Future[B]) -> B:
        """Return the result of a call; while it takes long, the log names the worker."""
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
            while self._starting:
                self._starting.pop().result()
            yield
        except WorkerLost as error:
            raise RunError(f"{self._stage}: {error.problem}", remedy=error.remedy) from error


_starters: list[Callable[[], Worker]] = []


@contextmanager
def workers_from(starters: Sequence[Callable[[], Worker]]) -> Iterator[None]:
    """Make every worker pool of the block of the workers that `starters` start."""
    _starters[:] = starters
    try:
        yield
    finally:
        _starters.clear()


@contextmanager
def worker_pool(task: Task[M, S], argument: M, jobs: int, stage: str) -> Iterator[WorkerPool[S]]:
    """Start the workers of one stage, and end them after the block.

    They are the workers of `workers_from` where there are any, and otherwise processes of this
    machine.

    Args:
        task: task of the workers.
        argument: argument that each worker makes its state from.
        jobs: number of processes; with one, this process does the work.
        stage: work that is being done, for messages.

    Yields:
        The pool of these workers.

    Raises:
        BaseException: any error of the block; the workers are killed.
        GeneratorExit: the block's results are not wanted any more; the workers end what they do.
    """
    workers: list[Worker] = []
    try:
        if _starters:
            workers += [start() for start in _starters]
        elif jobs > 1:
            for number in range(jobs):
                workers.append(ProcessWorker(number))
        else:
            workers.append(InProcessWorker())
        max_waiting = 0 if isinstance(workers[0], InProcessWorker) else _MAX_WAITING
        yield WorkerPool(workers, task, argument, stage, max_waiting)
    except GeneratorExit:
        # No more results are wanted, and nothing is wrong.
        raise
    except BaseException:
        for worker in workers:
            worker.kill()
        raise
    finally:
        for worker in workers:
            worker.stop()
        for worker in workers:
            worker.end()
