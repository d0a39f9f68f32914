"""Finds tags before and behind the audio of a file. Sources: ID3v2.4, ID3v1, APEv2."""

from __future__ import annotations

import struct

from .container import Data

_ID3V1, _APE = 128, 32


def skip_id3(data: Data, at: int = 0) -> int:
    """Return the place behind ID3v2 tags that begin at `at`."""
    while data[at : at + 3] == b"ID3" and at + 10 <= len(data):
        size = 0
        for byte in data[at + 6 : at + 10]:
            size = size << 7 | byte & 0x7F
        at += 10 + size + (10 if data[at + 5] & 0x10 else 0)
    return at


def without_tags(data: Data, start: int, end: int) -> int:
    """Return the end of the stream, before ID3v1 and APE tags that end at `end`."""
    while True:
        before = end
        if end - start > _ID3V1 and data[end - _ID3V1 : end - _ID3V1 + 3] == b"TAG":
            end -= _ID3V1
        if end - start > _APE and data[end - _APE : end - _APE + 8] == b"APETAGEX":
            size, flags = struct.unpack("<I4xI", data[end - _APE + 12 : end - _APE + 24])
            end = max(start, end - size - (_APE if flags & 1 << 31 else 0))
        if end == before:
            return end
