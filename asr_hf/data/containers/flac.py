"""Reads FLAC; the last frame gives the number of samples, whatever the header says.

A writer that cannot go back leaves the number at 0, and libsndfile then stops after the first
block. Source: RFC 9639.
"""

from __future__ import annotations

from dataclasses import dataclass

from .container import Container, Data
from .tags import without_tags

_STREAMINFO = 34
# The last frame must begin within so many bytes if the header does not give the longest frame.
_TAIL = 1 << 20


def _table(polynomial: int, bits: int) -> list[int]:
    top, mask = 1 << (bits - 1), (1 << bits) - 1
    values = []
    for value in range(256):
        value <<= bits - 8
        for _ in range(8):
            value = ((value << 1) ^ polynomial if value & top else value << 1) & mask
        values.append(value)
    return values


_CRC8, _CRC16 = _table(0x07, 8), _table(0x8005, 16)


@dataclass(frozen=True)
class _Frame:
    """The number of a frame's first sample, and the number of its samples."""

    first: int
    count: int


def read_flac(data: Data, start: int = 0) -> Container:
    """Read a FLAC stream that begins at `start`, behind ID3 tags if there are any."""
    info = start + 8
    if len(data) < info + _STREAMINFO:
        return Container("FLAC", "truncated: the file ends within its header")
    declared = int.from_bytes(data[info + 13 : info + 18], "big") & ((1 << 36) - 1)
    end = without_tags(data, info, len(data))
    block = int.from_bytes(data[info : info + 2], "big")
    longest = int.from_bytes(data[info + 7 : info + 10], "big") or _TAIL
    last = _last_frame(data, max(info + _STREAMINFO, end - longest), end, block)
    if last is None:
        if not declared:
            return Container("FLAC", "truncated: its last frame is not whole")
        view = ((start, len(data)),) if start else None
        return Container("FLAC", view=view, unproven=True)
    present = last.first + last.count
    if present < declared:
        return Container(
            "FLAC", f"truncated: {present} of the {declared} samples its header declares"
        )
    if present == declared:
        return Container("FLAC", view=((start, end),) if start else None)
    head = bytearray(data[start : info + _STREAMINFO])
    total = int.from_bytes(head[21:26], "big") & (0xF << 36) | present
    head[21:26] = total.to_bytes(5, "big")
    return Container("FLAC", view=(bytes(head), (info + _STREAMINFO, end)))


def _last_frame(data: Data, begin: int, end: int, block: int) -> _Frame | None:
    """Return the frame that ends at `end`, recognised by its checksums; None without one."""
    tail = data[begin:end]
    at = len(tail)
    while (at := tail.rfind(b"\xff", 0, at)) >= 0:
        if at + 1 < len(tail) and tail[at + 1] in (0xF8, 0xF9):
            frame = _parse(tail[at : at + 16], block)
            if frame is not None and _crc16(tail[at:]) == 0:
                return frame
    return None


def _parse(head: bytes, block: int) -> _Frame | None:
    """Return the frame that has this header; None if it is no header."""
    try:
        size, number, length = _coded(head)
        code = head[2] >> 4
        if code == 6:
            size, length = head[length] + 1, length + 1
        elif code == 7:
            size, length = int.from_bytes(head[length : length + 2], "big") + 1, length + 2
        length += {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
        check = 0
        for byte in head[:length]:
            check = _CRC8[check ^ byte]
        if not size or head[length] != check:
            return None
    except (IndexError, ValueError):
        return None
    return _Frame(number if head[1] & 1 else number * block, size)


def _coded(head: bytes) -> tuple[int, int, int]:
    """Return the block's number of samples (as far as coded), the coded number, and its end."""
    code, first = head[2] >> 4, head[4]
    size = {0: 0, 1: 192}.get(code, 576 << (code - 2) if code < 6 else 1 if code < 8 else 1 << code)
    more = 0
    while first & (0x80 >> more):
        more += 1
    if more == 1 or more > 7 or head[3] & 1:
        raise ValueError
    number = first & (0x7F >> more) if more else first
    for byte in head[5 : 4 + max(1, more)]:
        if byte & 0xC0 != 0x80:
            raise ValueError
        number = number << 6 | byte & 0x3F
    return size, number, 4 + max(1, more)


def _crc16(frame: bytes) -> int:
    """Return the CRC-16, which is 0 for a whole frame: it ends with the checksum of the rest."""
    check = 0
    for byte in frame:
        check = (check << 8 & 0xFF00) ^ _CRC16[check >> 8 ^ byte]
    return check
