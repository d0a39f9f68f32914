"""Reads containers made of chunks, AIFF and CAF, and headers of AU, with the sizes they declare.

libsndfile takes a truncated file for a shorter one, and refuses some files whose writer did not
know the size. Sources: Apple's AIFF-C draft of 1991, Apple's Core Audio Format Specification 1.0,
Sun's audio(4).
"""

from __future__ import annotations

import struct

from .container import (
    CONVERT,
    PLACEHOLDER_64,
    Container,
    Data,
    is_chunks,
    is_placeholder,
    truncated,
)

# Bytes of a sample, by AIFC's name of the compression; 0 stands for the number in COMM.
_AIFC = {b"NONE": 0, b"sowt": 0, b"twos": 0, b"raw ": 1, b"in24": 3, b"in32": 4}
_AIFC |= {b"fl32": 4, b"FL32": 4, b"fl64": 8, b"FL64": 8}
_AIFC |= {b"ulaw": 1, b"ULAW": 1, b"alaw": 1, b"ALAW": 1}


def read_aiff(data: Data) -> Container:
    """Read AIFF or AIFC: big-endian chunks; SSND holds the samples and COMM their number."""
    at, block, comm = 12, 0, 0
    while at + 8 <= len(data):
        name, size = struct.unpack_from(">4sI", data, at)
        if name == b"COMM" and at + 26 <= len(data):
            comm = at
            channels, _, bits = struct.unpack_from(">HIH", data, at + 8)
            kind = data[at + 26 : at + 30] if data[8:12] == b"AIFC" else b"NONE"
            if kind in _AIFC:
                block = channels * (_AIFC[kind] or (bits + 7) // 8)
        if name == b"SSND":
            return _aiff_samples(data, at, size, comm, block)
        at += 8 + size + size % 2
    return Container("AIFF", "truncated: the file ends before its samples")


def _aiff_samples(data: Data, at: int, size: int, comm: int, block: int) -> Container:
    first = at + 16
    present, declared = len(data) - first, size - 8
    frames = struct.unpack_from(">I", data, comm + 10)[0] if comm else 0
    unknown = is_placeholder(declared, block) and not is_chunks(data, first + declared, ">4sI")
    if declared > 0 and not unknown:
        if declared > present:
            return truncated("AIFF", present, declared)
        if frames * block > declared and not is_placeholder(frames * block, block):
            return truncated("AIFF", declared, frames * block)
        return Container("AIFF")
    if present <= 0 or (declared == 0 and frames == 0 and is_chunks(data, first, ">4sI")):
        return Container("AIFF", "holds no audio")
    head = bytearray(data[:first])
    if block:
        present -= present % block
        struct.pack_into(">I", head, comm + 10, present // block)
    struct.pack_into(">I", head, 4, first + present - 8)
    struct.pack_into(">I", head, at + 4, present + 8)
    return Container("AIFF", view=(bytes(head), (first, first + present)))


def read_au(data: Data) -> Container:
    """Read AU: its header holds the size of the header, then the size of the samples."""
    order = ">" if data[:4] == b".snd" else "<"
    if len(data) < 24:
        return Container("AU", "truncated: the file ends within its header")
    first, declared = struct.unpack_from(f"{order}II", data, 4)
    present = len(data) - first
    if first < 24:
        return Container("AU", "damaged: its header is shorter than one can be")
    if present <= 0:
        return Container("AU", "holds no audio")
    if declared and not is_placeholder(declared):
        return truncated("AU", present, declared) if declared > present else Container("AU")
    head = bytearray(data[:first])
    struct.pack_into(f"{order}I", head, 8, present)
    return Container("AU", view=(bytes(head), (first, len(data))))


def read_caf(data: Data) -> Container:
    """Read CAF: chunks whose sizes have 64 bits; -1 stands for samples to the end of the file."""
    at = 8
    while at + 12 <= len(data):
        name, size = struct.unpack_from(">4sq", data, at)
        if name == b"desc":
            kind = data[at + 20 : at + 24]
            if kind not in (b"lpcm", b"ulaw", b"alaw", b"alac"):
                fault = f"CAF of {kind.decode('latin-1').strip()!r}, which is not read"
                return Container("CAF", fault, CONVERT)
        if name == b"data":
            first = at + 16  # behind the number of edits
            present, declared = len(data) - first, size - 4
            if 0 < declared < PLACEHOLDER_64:
                if declared > present:
                    return truncated("CAF", present, declared)
                return Container("CAF")
            if present <= 0 or is_chunks(data, at + 12 + max(0, size), ">4sq"):
                return Container("CAF", "holds no audio")
            head = bytearray(data[:first])
            struct.pack_into(">q", head, at + 4, present + 4)
            return Container("CAF", view=(bytes(head), (first, len(data))))
        if size < 0:
            break
        at += 12 + size
    return Container("CAF", "truncated: the file ends before its samples")
