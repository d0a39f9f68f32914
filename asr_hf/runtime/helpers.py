"""Ranks that help the first one with its work: a connection each, calls going out, results back.

What goes over a connection are arrays and plain values (`wire`), signed with a key that only the
ranks have (`channel`, `key`). A helper is told names of tasks and of what they can do, and does
nothing that is not in its own table.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from asr_hf.runtime.address import own_address
from asr_hf.runtime.channel import Channel, Refused, go_in, let_in
from asr_hf.runtime.errors import AsrHfError, InputError, RunError
from asr_hf.runtime.interruption import stop_this_process
from asr_hf.runtime.key import found_key, given_key, new_key_file
from asr_hf.runtime.process_group import ProcessGroup
from asr_hf.runtime.wire import PLAIN, Kinds, WireError, pack, unpack
from asr_hf.runtime.worker_pool import helped_by
from asr_hf.runtime.workers import Task, WorkerLost, WorkerState

# In the store, which is read and written by whoever reaches it: nothing that is to be believed.
_PLACE, _KEY_NAME = "helpers/place", "helpers/key-name"
_PATIENCE = 300.0
_SECONDS = 1.0
# Connections at once that have not shown yet that they know the key.
_STRANGERS = 64
_ERRORS = {kind.__name__: kind for kind in (AsrHfError, InputError, RunError)}

# Finds a task by its name.
FindTask = Callable[[str], Task[Any, Any]]


@contextmanager
def helped(ranks: ProcessGroup) -> Iterator[None]:
    """On the first rank: have the teams of the block made of the others.

    Raises:
        InputError: the key that was given cannot be used.
        RunError: a rank does not come, or there is nowhere to listen.
    """
    with ExitStack() as held:
        key = given_key()
        # Nobody reads the file any more when all have come.
        with nullcontext(("", key)) if key is not None else new_key_file(Path()) as (name, key):
            listener = held.enter_context(socket.create_server(own_address(ranks), backlog=128))
            ranks.store.set(_KEY_NAME, name)
            ranks.store.set(_PLACE, "{}:{}".format(*listener.getsockname()[:2]))
            channels = _Gate(listener, key, ranks).all_of_them()
        for channel in channels.values():
            held.callback(channel.close)
        listener.close()
        start_worker = [partial(_Helper, rank, found) for rank, found in sorted(channels.items())]
        with helped_by(start_worker):
            yield


class _Gate:
    """Lets in the ranks, each once, and nobody else."""

    def __init__(self, listener: socket.socket, key: bytes, ranks: ProcessGroup) -> None:
        self._listener, self._key, self._ranks = listener, key, ranks
        self._room = threading.Semaphore(_STRANGERS)
        self._found: dict[int, Channel] = {}
        self._lock = threading.Lock()

    def all_of_them(self) -> dict[int, Channel]:
        """Return the way to each of the other ranks.

        Raises:
            RunError: one does not come.
            SystemExit: one has said why it cannot.
        """
        until = time.monotonic() + _PATIENCE
        self._listener.settimeout(_SECONDS)
        while missing := [n for n in range(1, self._ranks.count) if n not in self._found]:
            if time.monotonic() > until:
                raise RunError(
                    f"rank {missing[0]} did not come within {_PATIENCE:.0f} seconds",
                    remedy="see whether its machine and the network are up; the same command "
                    "continues",
                )
            if self._ranks.board is not None and (code := self._ranks.board.code) is not None:
                raise SystemExit(code)
            with suppress(TimeoutError):
                connection, _ = self._listener.accept()
                if self._room.acquire(blocking=False):
                    threading.Thread(target=self._meet, args=[connection], daemon=True).start()
                else:
                    connection.close()
        return self._found

    def _meet(self, connection: socket.socket) -> None:
        try:
            rank, channel = let_in(connection, self._key)
            with self._lock:
                if not 0 < rank < self._ranks.count or rank in self._found:
                    raise Refused(f"rank {rank} is here already, or there is none")
                self._found[rank] = channel
        except OSError:
            # Whoever it was; a rank that is missing is named in the end.
            connection.close()
        finally:
            self._room.release()


def help_out(ranks: ProcessGroup, find: FindTask) -> None:
    """On another rank: do what the first one asks for, until it is gone.

    Args:
        ranks: this process among those that work together.
        find: finds a task by its name.

    Raises:
        InputError: the key cannot be read.
        RunError: the first rank cannot be reached, or whoever answers does not know the key.
    """
    if not _first_has_come(ranks):
        return
    key = given_key() or found_key(Path(), ranks.store.get(_KEY_NAME).decode())
    host, _, port = ranks.store.get(_PLACE).decode().rpartition(":")
    try:
        connection = socket.create_connection((host, int(port)), timeout=_PATIENCE)
        channel = go_in(connection, key, ranks.rank)
    except (OSError, ValueError) as error:
        raise RunError(
            f"{host}:{port}: the first rank cannot be reached: {error}",
            remedy="see that the machines reach one another, and that all ranks have one key",
        ) from error
    desk = _Desk(find, channel)
    try:
        while True:
            desk.serve()
    except Refused as error:
        raise RunError(f"{host}:{port}: {error}", remedy="the same command continues") from error
    except OSError:
        return
    finally:
        channel.close()


def _first_has_come(ranks: ProcessGroup) -> bool:
    """Wait until the first rank listens; False where it has failed before."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            ranks.store.wait([_PLACE], timedelta(seconds=_SECONDS))
            return True
        except RuntimeError as error:
            if ranks.board is not None and ranks.board.code is not None:
                return False
            if time.monotonic() > until:
                raise RunError(
                    f"the first rank did not come within {_PATIENCE:.0f} seconds",
                    remedy="see whether its machine and the network are up",
                ) from error


class _Desk:
    """Where a helper works."""

    def __init__(self, find: FindTask, channel: Channel) -> None:
        self._find, self._channel, self._seat = find, channel, WorkerState()
        self._kinds, self._calls = PLAIN, dict[str, Callable[[Any, Any], Any]]()
        self._busy = threading.Event()
        threading.Thread(target=self._watch, name="first rank", daemon=True).start()

    def serve(self) -> None:
        """Do what is asked for next, and say what came of it.

        Raises:
            Refused: what comes is not signed.
            OSError: the first rank is gone.
        """
        head, body = self._channel.receive(), self._channel.receive()
        self._busy.set()
        try:
            answer = pack((True, self._do(head, body)), self._kinds)
        except Exception as error:
            answer = pack((False, _told(error)))
        finally:
            self._busy.clear()
        self._channel.send(answer)

    def _watch(self) -> None:
        """End the work that nobody wants any more."""
        while True:
            self._busy.wait()
            if self._channel.is_gone(_SECONDS):
                if self._busy.is_set():
                    stop_this_process(SystemExit(0))
                return
            time.sleep(_SECONDS)

    def _do(self, head: bytearray, body: bytearray) -> Any:
        match unpack(head):
            case "take", str(name):
                task = self._find(name)
                self._kinds, self._calls = Kinds(task.kinds), calls_of(task)
                self._seat.take(task.make, unpack(body, self._kinds))
                return None
            case "call", str(name) if name in self._calls:
                return self._seat.call(self._calls[name], unpack(body, self._kinds))
            case "drop", _:
                self._seat, self._kinds, self._calls = WorkerState(), PLAIN, {}
                return None
            case asked:
                raise WireError(f"nobody here does {str(asked)[:80]}")


def calls_of(task: Task[Any, Any]) -> dict[str, Callable[[Any, Any], Any]]:
    """Return what may be called in a task, by name."""
    return {call.__qualname__: call for call in task.calls}


class _Helper:
    """A rank that helps, as a `Worker`."""

    def __init__(self, rank: int, channel: Channel) -> None:
        self.name, self._channel, self._kinds = f"rank {rank}", channel, PLAIN
        self._calls: dict[str, Callable[[Any, Any], Any]] = {}
        self._thread = ThreadPoolExecutor(1)

    def take(self, task: Task[Any, Any], argument: Any) -> Future[None]:
        """See `Worker`."""
        self._kinds, self._calls = Kinds(task.kinds), calls_of(task)
        return self._thread.submit(self._ask, "take", task.name, argument)

    def call(self, function: Callable[[Any, Any], Any], argument: Any) -> Future[Any]:
        """See `Worker`."""
        name = function.__qualname__
        assert self._calls.get(name) is function
        return self._thread.submit(self._ask, "call", name, argument)

    def stop(self) -> None:
        """See `Worker`."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def end(self) -> None:
        """See `Worker`."""
        self._thread.shutdown()
        with suppress(WorkerLost):
            self._ask("drop", "", None)

    def kill(self) -> None:
        """See `Worker`."""
        self._channel.close()

    def _ask(self, what: str, name: str, argument: Any) -> Any:
        try:
            self._channel.send(pack((what, name)))
            self._channel.send(pack(argument, self._kinds))
            good, value = unpack(self._channel.receive(), self._kinds)
        except OSError as error:
            raise WorkerLost(
                f"{self.name} is gone",
                remedy="see whether it was killed, for want of memory perhaps; the same command "
                "continues",
            ) from error
        if not good:
            raise _error(value)
        return value


def _told(error: Exception) -> tuple[Any, ...]:
    """Return an error as plain values."""
    if isinstance(error, AsrHfError):
        kind = next(one.__name__ for one in type(error).__mro__ if one.__name__ in _ERRORS)
        return kind, error.problem, error.expected, error.remedy
    if isinstance(error, OSError):
        return "OSError", error.errno or 0, error.strerror or str(error), str(error.filename or "")
    return "RunError", f"{type(error).__name__}: {error}", "", ""


def _error(told: Sequence[Any]) -> Exception:
    kind, *parts = told
    if kind == "OSError":
        return OSError(*parts)
    problem, expected, remedy = map(str, parts)
    return _ERRORS.get(kind, RunError)(problem, expected=expected, remedy=remedy)
