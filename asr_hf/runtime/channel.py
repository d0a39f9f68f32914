"""A connection that accepts messages only from those who know a key.

Both ends prove with fresh random numbers that they know the key (HMAC-SHA256). Then they sign every
frame and its number with a key of this connection and direction: a frame that is forged, changed,
repeated or sent back is refused before a byte of it is looked at. Nothing is encrypted.
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
HANDSHAKE_SECONDS = 10.0
MAX_FRAME_BYTES = 1 << 36
_PIECE = 1 << 20
# Seconds of silence before a connection is looked at, between looks, and looks before it is lost.
_KEEPALIVE = (60, 20, 6)


class Refused(ConnectionError):
    """The other end does not know the key, or has sent what breaks the protocol."""


class Channel:
    """A connection whose ends have shown one another that they know the key.

    Args:
        connection: socket that is connected to the other end.
        out: key that signs outgoing frames.
        into: key that signs incoming frames.
    """

    def __init__(self, connection: socket.socket, out: bytes, into: bytes) -> None:
        self._socket, self._out, self._into = connection, out, into
        self._sent = self._received = 0
        connection.settimeout(None)
        _set_up(connection)

    def send(self, pieces: Sequence[bytes | memoryview]) -> None:
        """Send one frame.

        Args:
            pieces: bytes of the frame, in their order.

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
        """Return the next frame; memory is allocated only for a length that is signed.

        Raises:
            Refused: the frame is not signed, not the next one, or too long.
            OSError: the other end is gone.
        """
        head, mac = _read(self._socket, _FRAME), _read(self._socket, _MAC)
        _check(hmac.digest(self._into, b"head" + head, "sha256"), mac)
        number, size = int.from_bytes(head[:8], "big"), int.from_bytes(head[8:], "big")
        if number != self._received or size > MAX_FRAME_BYTES:
            raise Refused(f"frame {number} of {size} bytes, expected frame {self._received}")
        self._received += 1
        body = _read(self._socket, size)
        signed = hmac.new(self._into, b"body" + head, "sha256")
        signed.update(body)
        _check(signed.digest(), _read(self._socket, _MAC))
        return body

    def is_gone(self, seconds: float) -> bool:
        """Return whether the other end is gone, or goes within `seconds`; no data is consumed."""
        try:
            if not select.select([self._socket], [], [], seconds)[0]:
                return False
            return not self._socket.recv(1, socket.MSG_PEEK)
        except (OSError, ValueError):
            return True

    def close(self) -> None:
        """Close the connection, which wakes threads that wait for data from it."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def accept_channel(connection: socket.socket, key: bytes) -> tuple[int, Channel]:
    """Do the handshake as the first rank, which listens.

    Args:
        connection: socket of a connection that was accepted.
        key: key that the ranks share.

    Returns:
        The number of the rank that has connected, and the channel to it.

    Raises:
        Refused: the other end does not prove in time that it knows the key.
        OSError: the other end is gone.
    """
    deadline = time.monotonic() + HANDSHAKE_SECONDS
    ours = secrets.token_bytes(_NONCE)
    _set_timeout(connection, deadline)
    connection.sendall(_MAGIC + ours)
    theirs = _read(connection, _NONCE, deadline)
    rank = _read(connection, _RANK, deadline)
    transcript = ours + theirs + rank
    _check(hmac.digest(key, b"helper" + transcript, "sha256"), _read(connection, _MAC, deadline))
    connection.sendall(hmac.digest(key, b"first" + transcript, "sha256"))
    keys = (hmac.digest(key, way + transcript, "sha256") for way in (b"down", b"up"))
    return int.from_bytes(rank, "big"), Channel(connection, *keys)


def open_channel(connection: socket.socket, key: bytes, rank: int) -> Channel:
    """Do the handshake as a rank that connects to the first one.

    Args:
        connection: socket that is connected to the first rank.
        key: key that the ranks share.
        rank: number of this rank.

    Returns:
        The channel to the first rank.

    Raises:
        Refused: the other end does not prove in time that it knows the key.
        OSError: the other end is gone.
    """
    deadline = time.monotonic() + HANDSHAKE_SECONDS
    if _read(connection, len(_MAGIC), deadline) != _MAGIC:
        raise Refused("whoever listens there is not asr-hf")
    theirs = _read(connection, _NONCE, deadline)
    ours, number = secrets.token_bytes(_NONCE), rank.to_bytes(_RANK, "big")
    transcript = theirs + ours + number
    connection.sendall(ours + number + hmac.digest(key, b"helper" + transcript, "sha256"))
    _check(hmac.digest(key, b"first" + transcript, "sha256"), _read(connection, _MAC, deadline))
    keys = (hmac.digest(key, way + transcript, "sha256") for way in (b"up", b"down"))
    return Channel(connection, *keys)


def _check(expected: bytes, received: bytes | bytearray) -> None:
    if not hmac.compare_digest(expected, received):
        raise Refused("the other end does not know the key")


def _read(connection: socket.socket, size: int, deadline: float | None = None) -> bytearray:
    """Return the next `size` bytes; memory is allocated only as they arrive."""
    received = bytearray()
    while len(received) < size:
        if deadline is not None:
            _set_timeout(connection, deadline)
        try:
            piece = connection.recv(min(size - len(received), _PIECE))
        except TimeoutError as error:
            raise Refused("the other end did not answer in time") from error
        if not piece:
            raise ConnectionResetError("the other end is gone")
        received += piece
    return received


def _set_timeout(connection: socket.socket, deadline: float) -> None:
    connection.settimeout(max(0.001, deadline - time.monotonic()))


def _set_up(connection: socket.socket) -> None:
    """Have the system send at once, and notice when the other machine is gone without closing."""
    if connection.family not in (socket.AF_INET, socket.AF_INET6):
        return
    # A frame is several writes, the last of which would wait 40 ms for the other end to confirm.
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    names = ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
    for name, value in zip(names, _KEEPALIVE, strict=True):
        if hasattr(socket, name):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
