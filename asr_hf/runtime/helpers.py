"""Ranks that help the first one: it sends them calls, and they send back the results.

Each helper has a connection of its own. Only arrays and plain values go over it (`wire`), signed
with a key that only the ranks have (`channel`, `key`). The first rank names a task and one of its
calls; a helper does only what its own table of tasks lists.
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

from asr_hf.runtime.address import listening_address
from asr_hf.runtime.channel import Channel, Refused, accept_channel, open_channel
from asr_hf.runtime.errors import AsrHfError, InputError, RunError
from asr_hf.runtime.interruption import stop_this_process
from asr_hf.runtime.key import key_from_environment, new_key_file, shared_key
from asr_hf.runtime.process_group import ProcessGroup
from asr_hf.runtime.wire import PLAIN, Kinds, WireError, pack, unpack
from asr_hf.runtime.worker_pool import workers_from
from asr_hf.runtime.workers import Task, WorkerLost, WorkerState

# Keys of the store. Whoever reaches the store can write to it, so its values are not trusted.
_PLACE, _KEY_NAME = "helpers/place", "helpers/key-name"
_TIMEOUT_SECONDS = 300.0
_POLL_SECONDS = 1.0
# Connections at once that have not shown yet that they know the key.
_MAX_HANDSHAKES = 64
_ERRORS = {kind.__name__: kind for kind in (AsrHfError, InputError, RunError)}

# Returns the task of a name.
FindTask = Callable[[str], Task[Any, Any]]


@contextmanager
def using_helpers(group: ProcessGroup) -> Iterator[None]:
    """Let the other ranks be the workers of pools in the block; called on the first rank.

    Raises:
        InputError: the key in the environment cannot be used.
        RunError: a rank does not connect, or this rank cannot listen.
    """
    with ExitStack() as stack:
        key = key_from_environment()
        # The key's file is needed only until all ranks have connected.
        with nullcontext(("", key)) if key is not None else new_key_file(Path()) as (name, key):
            listener = stack.enter_context(
                socket.create_server(listening_address(group), backlog=128)
            )
            group.store.set(_KEY_NAME, name)
            group.store.set(_PLACE, "{}:{}".format(*listener.getsockname()[:2]))
            channels = _Listener(listener, key, group).accept_all()
        for channel in channels.values():
            stack.callback(channel.close)
        listener.close()
        starters = [partial(_RemoteWorker, rank, to) for rank, to in sorted(channels.items())]
        with workers_from(starters):
            yield


class _Listener:
    """Accepts a connection from each of the other ranks, and from nobody else."""

    def __init__(self, listener: socket.socket, key: bytes, group: ProcessGroup) -> None:
        self._listener, self._key, self._group = listener, key, group
        self._handshakes = threading.Semaphore(_MAX_HANDSHAKES)
        self._channels: dict[int, Channel] = {}
        self._lock = threading.Lock()

    def accept_all(self) -> dict[int, Channel]:
        """Return the channel to each of the other ranks, by its number.

        Raises:
            RunError: a rank does not connect in time.
            SystemExit: a rank has failed and has said why.
        """
        deadline = time.monotonic() + _TIMEOUT_SECONDS
        self._listener.settimeout(_POLL_SECONDS)
        while missing := [n for n in range(1, self._group.count) if n not in self._channels]:
            if time.monotonic() > deadline:
                raise RunError(
                    f"rank {missing[0]} did not come within {_TIMEOUT_SECONDS:.0f} seconds",
                    remedy="see whether its machine and the network are up; the same command "
                    "continues",
                )
            if self._group.board is not None and (code := self._group.board.code) is not None:
                raise SystemExit(code)
            with suppress(TimeoutError):
                connection, _ = self._listener.accept()
                if self._handshakes.acquire(blocking=False):
                    threading.Thread(target=self._greet, args=[connection], daemon=True).start()
                else:
                    connection.close()
        return self._channels

    def _greet(self, connection: socket.socket) -> None:
        try:
            rank, channel = accept_channel(connection, self._key)
            with self._lock:
                if not 0 < rank < self._group.count or rank in self._channels:
                    raise Refused(f"rank {rank} is here already, or there is none")
                self._channels[rank] = channel
        except OSError:
            # It may have been anybody; a rank that stays away is named in the end.
            connection.close()
        finally:
            self._handshakes.release()


def serve_first_rank(group: ProcessGroup, find: FindTask) -> None:
    """Do the calls that the first rank sends, until it is gone; called on the other group.

    Args:
        group: this rank in its process group.
        find: returns the task of a name.

    Raises:
        InputError: the key cannot be read.
        RunError: the first rank cannot be reached, or what answers there does not know the key.
    """
    if not _first_has_come(group):
        return
    key = key_from_environment() or shared_key(Path(), group.store.get(_KEY_NAME).decode())
    host, _, port = group.store.get(_PLACE).decode().rpartition(":")
    try:
        connection = socket.create_connection((host, int(port)), timeout=_TIMEOUT_SECONDS)
        channel = open_channel(connection, key, group.rank)
    except (OSError, ValueError) as error:
        raise RunError(
            f"{host}:{port}: the first rank cannot be reached: {error}",
            remedy="see that the machines reach one another, and that all ranks have one key",
        ) from error
    server = _TaskServer(find, channel)
    try:
        while True:
            server.serve()
    except Refused as error:
        raise RunError(f"{host}:{port}: {error}", remedy="the same command continues") from error
    except OSError:
        return
    finally:
        channel.close()


def _first_has_come(group: ProcessGroup) -> bool:
    """Wait until the first rank listens; return False where it has failed before."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS
    while True:
        try:
            group.store.wait([_PLACE], timedelta(seconds=_POLL_SECONDS))
            return True
        except RuntimeError as error:
            if group.board is not None and group.board.code is not None:
                return False
            if time.monotonic() > deadline:
                raise RunError(
                    f"the first rank did not come within {_TIMEOUT_SECONDS:.0f} seconds",
                    remedy="see whether its machine and the network are up",
                ) from error


class _TaskServer:
    """Does the calls that come over a channel, on a helping rank."""

    def __init__(self, find: FindTask, channel: Channel) -> None:
        self._find, self._channel, self._worker = find, channel, WorkerState()
        self._kinds, self._calls = PLAIN, dict[str, Callable[[Any, Any], Any]]()
        self._busy = threading.Event()
        threading.Thread(target=self._watch, name="first rank", daemon=True).start()

    def serve(self) -> None:
        """Do the next call and send its result.

        Raises:
            Refused: the call is not signed.
            OSError: the first rank is gone.
        """
        head, body = self._channel.receive(), self._channel.receive()
        self._busy.set()
        try:
            answer = pack((True, self._do(head, body)), self._kinds)
        except Exception as error:
            answer = pack((False, _as_values(error)))
        finally:
            self._busy.clear()
        self._channel.send(answer)

    def _watch(self) -> None:
        """Stop the work when the first rank is gone."""
        while True:
            self._busy.wait()
            if self._channel.is_gone(_POLL_SECONDS):
                if self._busy.is_set():
                    stop_this_process(SystemExit(0))
                return
            time.sleep(_POLL_SECONDS)

    def _do(self, head: bytearray, body: bytearray) -> Any:
        match unpack(head):
            case "take", str(name):
                task = self._find(name)
                self._kinds, self._calls = Kinds(task.kinds), calls_of(task)
                self._worker.take(task.make, unpack(body, self._kinds))
                return None
            case "call", str(name) if name in self._calls:
                return self._worker.call(self._calls[name], unpack(body, self._kinds))
            case "drop", _:
                self._worker, self._kinds, self._calls = WorkerState(), PLAIN, {}
                return None
            case request:
                raise WireError(f"nobody here does {str(request)[:80]}")


def calls_of(task: Task[Any, Any]) -> dict[str, Callable[[Any, Any], Any]]:
    """Return the calls of a task, by the name that goes over the wire."""
    return {call.__qualname__: call for call in task.calls}


class _RemoteWorker:
    """A helping rank, as a `Worker`."""

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

    def _ask(self, request: str, name: str, argument: Any) -> Any:
        try:
            self._channel.send(pack((request, name)))
            self._channel.send(pack(argument, self._kinds))
            succeeded, value = unpack(self._channel.receive(), self._kinds)
        except OSError as error:
            raise WorkerLost(
                f"{self.name} is gone",
                remedy="see whether it was killed, for want of memory perhaps; the same command "
                "continues",
            ) from error
        if not succeeded:
            raise _from_values(value)
        return value


def _as_values(error: Exception) -> tuple[Any, ...]:
    """Return plain values that `_from_values` makes into an error."""
    if isinstance(error, AsrHfError):
        kind = next(cls.__name__ for cls in type(error).__mro__ if cls.__name__ in _ERRORS)
        return kind, error.problem, error.expected, error.remedy
    if isinstance(error, OSError):
        return "OSError", error.errno or 0, error.strerror or str(error), str(error.filename or "")
    return "RunError", f"{type(error).__name__}: {error}", "", ""


def _from_values(values: Sequence[Any]) -> Exception:
    kind, *parts = values
    if kind == "OSError":
        return OSError(*parts)
    problem, expected, remedy = map(str, parts)
    return _ERRORS.get(kind, RunError)(problem, expected=expected, remedy=remedy)
