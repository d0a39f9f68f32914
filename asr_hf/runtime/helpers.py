"""Ranks that help the first one with its work: a connection each, calls going out, results back.

What goes over a connection is pickled; both ends show one another that they know a key that only
the processes of this run can read.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from functools import partial
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

from asr_hf.runtime.errors import RunError
from asr_hf.runtime.ranks import RENDEZVOUS, Ranks
from asr_hf.runtime.team import Seat, WorkerLost, as_it_is, helped_by

_KEY, _PORT, _COMING = "helpers/key", "helpers/port", "helpers/{}"
_PATIENCE = 300
# Seconds of silence before a connection is looked at, between looks, and looks before it is lost.
_KEEPALIVE = (60, 20, 6)


@contextmanager
def helped(ranks: Ranks) -> Iterator[None]:
    """On the first rank: have the teams of the block made of the others.

    Raises:
        RunError: a rank does not come.
    """
    with ExitStack() as held:
        key = secrets.token_bytes(32)
        listener = held.enter_context(Listener(("", 0), authkey=key))
        ranks.store.set(_KEY, key.hex())
        ranks.store.set(_PORT, str(listener.address[1]))
        _await(ranks)
        connections: dict[int, Connection[Any, Any]] = {}
        while len(connections) < ranks.count - 1:
            connection = held.enter_context(listener.accept())
            _keep_alive(connection)
            connections[connection.recv()] = connection
        hire = [partial(_Helper, rank, found) for rank, found in sorted(connections.items())]
        with helped_by(hire):
            yield


def _await(ranks: Ranks) -> None:
    for rank in range(1, ranks.count):
        try:
            ranks.store.wait([_COMING.format(rank)], timedelta(seconds=_PATIENCE))
        except RuntimeError as error:
            raise RunError(
                f"rank {rank} did not come within {_PATIENCE} seconds",
                remedy="see whether its machine and the network are up; the same command continues",
            ) from error


def help_out(ranks: Ranks) -> None:
    """On another rank: do what the first one asks for, until it is gone."""
    key = bytes.fromhex(ranks.store.get(_KEY).decode())
    port = int(ranks.store.get(_PORT))
    ranks.store.set(_COMING.format(ranks.rank), "1")
    host = "127.0.0.1" if RENDEZVOUS in os.environ else os.environ["MASTER_ADDR"]
    with Client((host, port), authkey=key) as connection:
        _keep_alive(connection)
        connection.send(ranks.rank)
        seat = Seat()
        while True:
            try:
                method, *arguments = connection.recv()
                connection.send(_answer(getattr(seat, method), arguments))
            except (EOFError, ConnectionError):
                return


def _answer(call: Callable[..., Any], arguments: list[Any]) -> tuple[bool, Any]:
    try:
        return True, call(*arguments)
    except Exception as error:
        return False, error


class _Helper:
    """A rank that helps, as a `Worker`."""

    def __init__(self, rank: int, connection: Connection[Any, Any]) -> None:
        self.name, self._connection = f"rank {rank}", connection
        self._thread = ThreadPoolExecutor(1)

    def take(self, make: Callable[[], Any]) -> Future[None]:
        """See `Worker`."""
        return self._thread.submit(self._ask, "take", make)

    def call(self, function: Callable[[Any, Any], Any], argument: Any) -> Future[Any]:
        """See `Worker`."""
        return self._thread.submit(self._ask, "call", function, argument)

    def stop(self) -> None:
        """See `Worker`."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def end(self) -> None:
        """See `Worker`."""
        self._thread.shutdown()
        with suppress(WorkerLost):
            self._ask("take", partial(as_it_is, None))

    def _ask(self, *request: Any) -> Any:
        try:
            self._connection.send(request)
            good, value = self._connection.recv()
        except (EOFError, OSError) as error:
            raise WorkerLost(f"{self.name} is gone") from error
        if not good:
            raise value
        return value


def _keep_alive(connection: Connection[Any, Any]) -> None:
    """Learn of a machine that is gone without a word."""
    with socket.socket(fileno=os.dup(connection.fileno())) as found:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
        for name, value in zip(names, _KEEPALIVE, strict=True):
            if hasattr(socket, name):
                found.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
