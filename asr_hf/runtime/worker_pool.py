"""Work dealt to several processes, its results in order."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Generic, TypeVar

from asr_hf.runtime.errors import RunError
from asr_hf.runtime.workers import InProcessWorker, M, Process, S, Task, Worker, WorkerLost

A = TypeVar("A")
B = TypeVar("B")

log = logging.getLogger(__name__)

_AHEAD = 4
# Seconds after which somebody who is waited for is named.
_LONG = 600.0


class WorkerPool(Generic[S]):
    """Workers, each with a state of its own.

    Args:
        workers: those.
        task: what it makes first is the first argument of all calls.
        argument: what each makes it of.
        stage: what is being done, for messages.
        ahead: calls a worker that may wait for whoever takes the results, so that a slow disk does
            not fill the memory.
    """

    def __init__(
        self,
        workers: Sequence[Worker],
        task: Task[M, S],
        argument: M,
        stage: str,
        ahead: int = _AHEAD,
    ) -> None:
        self._workers, self._stage, self._ahead = workers, stage, ahead
        self._begun = [worker.take(task, argument) for worker in workers]

    @property
    def size(self) -> int:
        """The number of workers."""
        return len(self._workers)

    def map(self, function: Callable[[S, A], B], items: Iterable[A]) -> Iterator[B]:
        """Yield the results of `function` on the items, in their order.

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
        """Return the results of one call on each worker, at the same time.

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
        """Return what came of a call; who takes long for it is named now and then."""
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
        except WorkerLost as error:
            raise RunError(f"{self._stage}: {error.problem}", remedy=error.remedy) from error


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
def worker_pool(task: Task[M, S], argument: M, jobs: int, stage: str) -> Iterator[WorkerPool[S]]:
    """Workers for one stage: processes of this machine, or the helpers that there are.

    Args:
        task: what they do.
        argument: what each of them makes its state of.
        jobs: processes; with one, and without helpers, all is done in this process.
        stage: what is being done, for messages.
    """
    workers: list[Worker] = []
    try:
        if _helpers:
            workers += [start_worker() for start_worker in _helpers]
        elif jobs > 1:
            for number in range(jobs):
                workers.append(Process(number))
        else:
            workers.append(InProcessWorker())
        ahead = 0 if isinstance(workers[0], InProcessWorker) else _AHEAD
        yield WorkerPool(workers, task, argument, stage, ahead)
    except GeneratorExit:
        # Whoever takes results wants no more, and nothing is wrong.
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
