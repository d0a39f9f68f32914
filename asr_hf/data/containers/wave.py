"""Reads WAV, and its relatives for more than 4 GB: RF64, BW64 and W64.

Sources: Microsoft's "Multimedia Programming Interface and Data Specifications 1.0" (1991), EBU
Tech 3306 (RF64), Sony's Wave64 specification.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from .container import (
    CONVERT,
    PLACEHOLDER_64,
    Container,
    Data,
    is_chunks,
    is_placeholder,
    truncated,
)
from .mpeg import read_mpeg

_WRAP = 1 << 32
_MPEG = (0x50, 0x55)
_GSM = 0x31
# Samples of a block of GSM 6.10 as Microsoft packs it: two frames.
_GSM_BLOCK = (65, 320)
# Codings that libsndfile does not decode.
_FOREIGN = {
    0x22: "TrueSpeech",
    0x42: "G.723.1",
    0x45: "G.726",
    0x64: "G.726",
    0x83: "G.729",
    0xFF: "AAC",
    0x130: "ACELP.net",
    0x160: "Windows Media Audio",
    0x161: "Windows Media Audio",
    0x162: "Windows Media Audio",
    0x163: "Windows Media Audio",
    0x1600: "AAC",
    0x1610: "AAC",
    0x2000: "AC-3",
    0x704F: "Opus",
    0xF1AC: "FLAC",
}
_W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")


@dataclass(frozen=True)
class _Samples:
    """The samples that a header declares.

    Args:
        first: place of the first byte of the samples.
        size: declared size (bytes).
        sizes: fields of the header that depend on the size: place, format for `struct`, and number
            of bytes by which the field exceeds the size of the samples.
        wide: whether sizes have 64 bits.
    """

    first: int
    size: int
    sizes: tuple[tuple[int, str, int], ...]
    wide: bool = False


@dataclass(frozen=True)
class _Format:
    tag: int = 0
    block: int = 1

    @classmethod
    def parse(cls, chunk: bytes) -> _Format:
        """Parse a chunk "fmt "; an extensible one names the coding in its last 16 bytes."""
        if len(chunk) < 16:
            return cls()
        tag, block = struct.unpack_from("<H10xH", chunk)
        if tag == 0xFFFE and len(chunk) >= 26:
            (tag,) = struct.unpack_from("<H", chunk, 24)
        return cls(tag, max(1, block))


def read_wave(data: Data) -> Container:
    """Read WAV, RF64 or BW64, or RIFX, whose numbers are big-endian."""
    order = ">" if data[:4] == b"RIFX" else "<"
    name = "WAV" if data[:2] == b"RI" else data[:4].decode()
    at, form, wide = 12, _Format(), 0
    while at + 8 <= len(data):
        chunk, size = struct.unpack_from(f"{order}4sI", data, at)
        if chunk == b"fmt " and order == "<":
            form = _Format.parse(data[at + 8 : at + 8 + min(size, 64)])
        if chunk == b"ds64" and at + 24 <= len(data):
            wide = at + 8
        if chunk == b"data":
            return _judge(data, name, form, _of_riff(data, at, size, wide, order))
        at += 8 + size + size % 2
    return Container(name, "truncated: the file ends before its samples")


def _of_riff(data: Data, at: int, size: int, wide: int, order: str) -> _Samples:
    first = at + 8
    if wide and size == 0xFFFFFFFF:
        (size,) = struct.unpack_from("<Q", data, wide + 8)
        sizes = ((wide, "<Q", first - 8), (wide + 8, "<Q", 0))
        return _Samples(first, size, sizes, True)
    return _Samples(first, size, ((4, f"{order}I", first - 8), (at + 4, f"{order}I", 0)))


def read_w64(data: Data) -> Container:
    """Read W64: chunks named by GUIDs, with sizes of 64 bits that include the chunk's header."""
    at, form = 40, _Format()
    while at + 24 <= len(data):
        name, size = data[at : at + 16], struct.unpack_from("<Q", data, at + 16)[0]
        known = name[4:] == _W64_TAIL
        if known and name[:4] == b"fmt ":
            form = _Format.parse(data[at + 24 : at + 24 + min(size, 64)])
        if known and name[:4] == b"data":
            first, length = at + 24, max(0, size - 24)
            sizes = ((16, "<Q", first), (at + 16, "<Q", 24))
            return _judge(data, "W64", form, _Samples(first, length, sizes, True))
        if size < 24:
            break
        at += (size + 7) // 8 * 8
    return Container("W64", "truncated: the file ends before its samples")


def _judge(data: Data, name: str, form: _Format, samples: _Samples) -> Container:
    """Compare the samples that the header declares with those that are there."""
    if form.tag in _FOREIGN:
        return Container(name, f"{name} of {_FOREIGN[form.tag]}, which is not read", CONVERT)
    first, declared = samples.first, samples.size
    present = len(data) - first
    to_end = _is_unknown(declared, form.block, samples.wide)
    if 0 < declared <= present:
        to_end = to_end and not is_chunks(data, first + declared + declared % 2)
    if present <= 0 or (declared == 0 and is_chunks(data, first)):
        return Container(name, "holds no audio")
    if not to_end and declared > present:
        return truncated(name, present, declared)
    if not samples.wide and not to_end and present >= declared + _WRAP:
        to_end = True  # a size that lost its upper half
    size = present if to_end else declared
    if form.tag in _MPEG:
        return read_mpeg(data, first, first + size)
    view = None
    if to_end:
        size -= size % form.block if form.tag != _GSM else 0
        view = (_mended(data, samples, size), (first, first + size))
    frames = None
    if form.tag == _GSM:
        # libsndfile takes a byte of padding for another block.
        frames = size // _GSM_BLOCK[0] * _GSM_BLOCK[1]
    return Container(name, frames=frames, view=view, note=_note_on_rest(data, first + size))


def _is_unknown(size: int, block: int, wide: bool) -> bool:
    """Return whether a size says that the header's writer did not know it."""
    if not size:
        return True
    if wide:
        return size >= PLACEHOLDER_64 or size in (0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000)
    return is_placeholder(size, block)


def _mended(data: Data, samples: _Samples, size: int) -> bytes:
    """Return the header with the true size of the samples."""
    header = bytearray(data[: samples.first])
    if not samples.wide and size + samples.first >= _WRAP:
        # A field of 32 bits cannot hold the size, so the header becomes RF64, with its chunks.
        wide = struct.pack("<4sIQQQI", b"ds64", 28, size + len(header) + 28, size, 0, 0)
        header[-4:] = b"\xff\xff\xff\xff"
        return b"RF64\xff\xff\xff\xffWAVE" + wide + bytes(header[12:])
    for place, form, extra in samples.sizes:
        struct.pack_into(form, header, place, size + extra)
    return bytes(header)


def _note_on_rest(data: Data, end: int) -> str:
    """Return a note on bytes behind the samples that are no chunk; "" where there are none."""
    end += end % 2
    name = data[end : end + 4]
    if len(data) - end < 8 or all(32 <= byte < 127 for byte in name) or not any(name):
        return ""
    return f"{len(data) - end} bytes behind the audio that its header declares are not read"
