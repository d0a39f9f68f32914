"""Workers of a pool: this process, or other processes of this machine.

A process gets its calls over a pair of sockets that has no address, so that nobody else reaches it.
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

    Ranks on other machines find it by its name, and do nothing but its calls.

    Args:
        name: name of the task.
        make: makes a worker's state from the argument that the worker is sent.
        calls: functions of the state and one more argument that may be called.
        kinds: classes whose objects are sent, in either direction.
    """

    name: str
    make: Callable[[M], S]
    calls: tuple[Callable[[S, Any], Any], ...] = ()
    kinds: tuple[type, ...] = ()


class WorkerState:
    """Holds the state of a worker, on which its calls work.

    Attributes:
        state: the state; None before `take`.
    """

    state: Any = None

    def take(self, make: Callable[[Any], Any], argument: Any) -> None:
        """Make the state for later calls."""
        self.state = make(argument)

    def call(self, function: Callable[[Any, Any], Any], argument: Any) -> Any:
        """Return the result of one call."""
        return function(self.state, argument)


class Worker(Protocol):
    """Does calls, one after another.

    Attributes:
        name: name of the worker, for messages.
    """

    name: str

    def take(self, task: Task[Any, Any], argument: Any) -> Future[None]:
        """Take on a task: make the state for later calls."""
        ...

    def call(self, function: Callable[[Any, Any], Any], argument: Any) -> Future[Any]:
        """Do one call after those before it; return its result to come."""
        ...

    def stop(self) -> None:
        """Begin no more calls."""
        ...

    def end(self) -> None:
        """Wait for the call under way, and drop the state."""
        ...

    def kill(self) -> None:
        """End at once, without waiting for the call under way."""
        ...


class WorkerLost(RunError):
    """A worker is gone; the message says which one."""


class InProcessWorker:
    """A worker that does each call at once, in this process."""

    name = "this process"

    def __init__(self) -> None:
        self._worker = WorkerState()

    def take(self, task: Task[Any, Any], argument: Any) -> Future[None]:
        """See `Worker`."""
        return _done(self._worker.take, task.make, argument)

    def call(self, function: Callable[[Any, Any], Any], argument: Any) -> Future[Any]:
        """See `Worker`."""
        return _done(self._worker.call, function, argument)

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


class ProcessWorker:
    """A worker that is another process of this machine, with one CPU thread.

    Args:
        number: number of the process, for messages.
    """

    def __init__(self, number: int) -> None:
        self.name = f"process {number}"
        ours, theirs = socket.socketpair()
        # Forking a process that holds torch's thread pool can hang, so a new one is started. Its
        # number of threads must be set before NumPy and torch are loaded.
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
            succeeded, value = self._connection.recv()
        except (EOFError, OSError) as error:
            raise WorkerLost(
                "a process died, perhaps for want of memory",
                remedy="use fewer processes (jobs); the same command continues",
            ) from error
        if not succeeded:
            raise value
        return value


def serve(descriptor: int, parent: int) -> None:
    """Do the calls that the parent sends, until it is gone; called in a `ProcessWorker`'s process.

    Args:
        descriptor: descriptor of this end of the pair of sockets.
        parent: process number of the parent.
    """
    die_with(parent)
    leave_signals_to_parent()
    worker = WorkerState()
    connection: Connection[Any, Any] = Connection(descriptor)
    with connection, suppress(EOFError, ConnectionError):
        while True:
            method, *arguments = connection.recv()
            connection.send(_answer(getattr(worker, method), arguments))


def _answer(call: Callable[..., Any], arguments: list[Any]) -> tuple[bool, Any]:
    try:
        return True, call(*arguments)
    except Exception as error:
        try:
            pickle.loads(pickle.dumps(error))
        except Exception:
            error = RunError(f"{type(error).__name__}: {error}")
        return False, error
