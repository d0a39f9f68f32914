"""A connection over which only those who know a key are heard.

Both ends prove with fresh numbers that they know it (HMAC-SHA256), and then sign every frame with
keys of this connection and direction, and its number: what is forged, changed, repeated or sent
back is refused before a byte of it is looked at. Nothing is encrypted.
"""

from __future__ import annotations

import hmac
import secrets
import select
import socket
import time
from collections.abc import Sequence
from contextlib import suppress

_MAGIC = b"asr-hf helpers 1"
_NONCE = 32
_MAC = 32
_RANK = 4
_FRAME = 16
# Seconds in which whoever connects must have shown that it knows the key.
PATIENCE = 10.0
# No frame is longer.
MOST = 1 << 36
_PIECE = 1 << 20
# Seconds of silence before a connection is looked at, between looks, and looks before it is lost.
_KEEPALIVE = (60, 20, 6)


class Refused(ConnectionError):
    """The other end does not know the key, or what it sends is not as it should be."""


class Channel:
    """A connection whose ends have shown one another that they know the key.

    Args:
        connection: to the other end.
        out: the key of what goes out.
        into: of what comes in.
    """

    def __init__(self, connection: socket.socket, out: bytes, into: bytes) -> None:
        self._socket, self._out, self._into = connection, out, into
        self._sent = self._received = 0
        connection.settimeout(None)
        _keep_alive(connection)

    def send(self, pieces: Sequence[bytes | memoryview]) -> None:
        """Send a frame.

        Raises:
            OSError: the other end is gone.
        """
        head = self._sent.to_bytes(8, "big") + sum(map(len, pieces)).to_bytes(8, "big")
        self._sent += 1
        self._socket.sendall(head + hmac.digest(self._out, b"head" + head, "sha256"))
        signed = hmac.new(self._out, b"body" + head, "sha256")
        for piece in pieces:
            signed.update(piece)
            self._socket.sendall(piece)
        self._socket.sendall(signed.digest())

    def receive(self) -> bytearray:
        """Return the next frame; memory is taken only for what the other end has signed.

        Raises:
            Refused: it is not signed, not the next, or too long.
            OSError: the other end is gone.
        """
        head, mac = _read(self._socket, _FRAME), _read(self._socket, _MAC)
        _check(hmac.digest(self._into, b"head" + head, "sha256"), mac)
        number, size = int.from_bytes(head[:8], "big"), int.from_bytes(head[8:], "big")
        if number != self._received or size > MOST:
            raise Refused(f"frame {number} of {size} bytes, expected frame {self._received}")
        self._received += 1
        body = _read(self._socket, size)
        signed = hmac.new(self._into, b"body" + head, "sha256")
        signed.update(body)
        _check(signed.digest(), _read(self._socket, _MAC))
        return body

    def is_gone(self, seconds: float) -> bool:
        """Return whether the other end has gone, or goes within so many seconds; takes nothing away."""
        try:
            if not select.select([self._socket], [], [], seconds)[0]:
                return False
            return not self._socket.recv(1, socket.MSG_PEEK)
        except (OSError, ValueError):
            return True

    def close(self) -> None:
        """Close the connection, waking whoever waits for something from it."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def let_in(connection: socket.socket, key: bytes) -> tuple[int, Channel]:
    """As the one who listens: the rank that has connected, and the way to it.

    Raises:
        Refused: whoever it is does not know the key, or not in time.
        OSError: it is gone.
    """
    until = time.monotonic() + PATIENCE
    ours = secrets.token_bytes(_NONCE)
    _before(connection, until)
    connection.sendall(_MAGIC + ours)
    theirs = _read(connection, _NONCE, until)
    rank = _read(connection, _RANK, until)
    said = ours + theirs + rank
    _check(hmac.digest(key, b"helper" + said, "sha256"), _read(connection, _MAC, until))
    connection.sendall(hmac.digest(key, b"first" + said, "sha256"))
    keys = (hmac.digest(key, way + said, "sha256") for way in (b"down", b"up"))
    return int.from_bytes(rank, "big"), Channel(connection, *keys)


def go_in(connection: socket.socket, key: bytes, rank: int) -> Channel:
    """As the one who connects: the way to the first rank.

    Raises:
        Refused: whoever listens does not know the key, or not in time.
        OSError: it is gone.
    """
    until = time.monotonic() + PATIENCE
    if _read(connection, len(_MAGIC), until) != _MAGIC:
        raise Refused("whoever listens there is not asr-hf")
    theirs = _read(connection, _NONCE, until)
    ours, number = secrets.token_bytes(_NONCE), rank.to_bytes(_RANK, "big")
    said = theirs + ours + number
    connection.sendall(ours + number + hmac.digest(key, b"helper" + said, "sha256"))
    _check(hmac.digest(key, b"first" + said, "sha256"), _read(connection, _MAC, until))
    keys = (hmac.digest(key, way + said, "sha256") for way in (b"up", b"down"))
    return Channel(connection, *keys)


def _check(expected: bytes, found: bytes | bytearray) -> None:
    if not hmac.compare_digest(expected, found):
        raise Refused("the other end does not know the key")


def _read(connection: socket.socket, size: int, until: float | None = None) -> bytearray:
    """So many bytes; no memory is taken before they come."""
    found = bytearray()
    while len(found) < size:
        if until is not None:
            _before(connection, until)
        try:
            piece = connection.recv(min(size - len(found), _PIECE))
        except TimeoutError as error:
            raise Refused("the other end did not answer in time") from error
        if not piece:
            raise ConnectionResetError("the other end is gone")
        found += piece
    return found


def _before(connection: socket.socket, until: float) -> None:
    connection.settimeout(max(0.001, until - time.monotonic()))


def _keep_alive(connection: socket.socket) -> None:
    """Learn of a machine that is gone without a word."""
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
    for name, value in zip(names, _KEEPALIVE, strict=True):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
