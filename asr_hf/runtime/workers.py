"""Workers of a team: this process, or processes of this machine.

A process is asked over a pair of sockets that has no address: nobody else can reach it.
"""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, Generic, Protocol, TypeVar

from asr_hf.runtime.children import die_with, leave_signals_to_parent, signals_held
from asr_hf.runtime.errors import RunError

M = TypeVar("M")
S = TypeVar("S")


@dataclass(frozen=True)
class Task(Generic[M, S]):
    """Work that other processes can do.

    Helpers on other machines know it by its name, and do nothing but what stands here.

    Args:
        name: of the task.
        make: makes what a worker works with out of what it is sent.
        calls: what may be called on it, with one argument more.
        kinds: classes whose objects are sent, either way.
    """

    name: str
    make: Callable[[M], S]
    calls: tuple[Callable[[S, Any], Any], ...] = ()
    kinds: tuple[type, ...] = ()


class WorkerState:
    """Where a worker keeps what it works with."""

    state: Any = None

    def take(self, make: Callable[[Any], Any], argument: Any) -> None:
        """Make what later calls are given."""
        self.state = make(argument)

    def call(self, function: Callable[[Any, Any], Any], argument: Any) -> Any:
        """Work on one item."""
        return function(self.state, argument)


class Worker(Protocol):
    """Somebody who does calls one after another; `name` is for messages."""

    name: str

    def take(self, task: Task[Any, Any], argument: Any) -> Future[None]:
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

    def kill(self) -> None:
        """Wait for nothing."""
        ...


class WorkerLost(RunError):
    """A worker is gone; says which one."""


class InProcessWorker:
    """This process: does each call at once."""

    name = "this process"

    def __init__(self) -> None:
        self._seat = WorkerState()

    def take(self, task: Task[Any, Any], argument: Any) -> Future[None]:
        """See `Worker`."""
        return _done(self._seat.take, task.make, argument)

    def call(self, function: Callable[[Any, Any], Any], argument: Any) -> Future[Any]:
        """See `Worker`."""
        return _done(self._seat.call, function, argument)

    def stop(self) -> None:
        """See `Worker`."""

    end = kill = stop


def _done(function: Callable[..., Any], *arguments: Any) -> Future[Any]:
    future: Future[Any] = Future()
    try:
        future.set_result(function(*arguments))
    except Exception as error:
        future.set_exception(error)
    return future


class Process:
    """A process of this machine with one thread."""

    def __init__(self, number: int) -> None:
        self.name = f"process {number}"
        ours, theirs = socket.socketpair()
        # Forking a process that holds torch's thread pool can hang, so it starts afresh; with one
        # thread, which is to be said before NumPy and torch are loaded.
        script = (
            f"import sys; sys.path[:] = {sys.path!r}\n"
            f"from {__name__} import serve; serve({theirs.fileno()}, {os.getpid()})"
        )
        with theirs, signals_held():
            self._process = subprocess.Popen(
                [sys.executable, "-c", script],
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                pass_fds=[theirs.fileno()],
            )
        self._connection: Connection[Any, Any] = Connection(ours.detach())
        self._thread = ThreadPoolExecutor(1)

    def take(self, task: Task[Any, Any], argument: Any) -> Future[None]:
        """See `Worker`."""
        return self._thread.submit(self._ask, "take", task.make, argument)

    def call(self, function: Callable[[Any, Any], Any], argument: Any) -> Future[Any]:
        """See `Worker`."""
        return self._thread.submit(self._ask, "call", function, argument)

    def stop(self) -> None:
        """See `Worker`."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def end(self) -> None:
        """See `Worker`."""
        self._thread.shutdown()
        self._connection.close()
        self._process.wait()

    def kill(self) -> None:
        """See `Worker`."""
        self._process.kill()

    def _ask(self, *request: Any) -> Any:
        try:
            self._connection.send(request)
            good, value = self._connection.recv()
        except (EOFError, OSError) as error:
            raise WorkerLost(
                "a process died, perhaps for want of memory",
                remedy="use fewer processes (jobs); the same command continues",
            ) from error
        if not good:
            raise value
        return value


def serve(descriptor: int, parent: int) -> None:
    """As such a process: do what the parent asks for, until it is gone."""
    die_with(parent)
    leave_signals_to_parent()
    seat = WorkerState()
    connection: Connection[Any, Any] = Connection(descriptor)
    with connection, suppress(EOFError, ConnectionError):
        while True:
            method, *arguments = connection.recv()
            connection.send(_answer(getattr(seat, method), arguments))


def _answer(call: Callable[..., Any], arguments: list[Any]) -> tuple[bool, Any]:
    try:
        return True, call(*arguments)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            error = RunError(f"{type(error).__name__}: {error}")
        return False, error
