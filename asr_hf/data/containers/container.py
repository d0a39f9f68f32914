"""The facts about an audio file that its container gives, before anything is decoded."""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass

Data = bytes | mmap.mmap

FETCH = "fetch the audio again"
CONVERT = "convert it, e.g. ffmpeg -i FILE FILE.flac"
# Programs that write into a pipe do not know the length, and put so much or more into the header:
# sox 0x7F000000, 0x7FFFF000 and 0x7FFFFFFF, arecord 0x80000000, ffmpeg 0xFFFFFFFF, or these less
# the size of a header.
_PLACEHOLDER = 0x7F000000
# They also put a round number of samples or bytes there, such as 1,000,000,000 samples.
_ROUND = 1_000_000_000
# In fields of 64 bits they put so much or more.
PLACEHOLDER_64 = 1 << 60


@dataclass(frozen=True)
class Container:
    """The facts that a file's container gives.

    Args:
        name: name of the format.
        fault: what is wrong with the file; empty if nothing is.
        remedy: what the user can do about the fault.
        frames: number of samples of each channel, as counted here; None where libsndfile counts
            them right.
        view: pieces that libsndfile is to read instead of the whole file, as bytes or as begin and
            end (exclusive) of a range of the file; None for the file as it is.
        endless: whether the view has to seem longer than it is, because libsndfile estimates the
            number of samples and reads no more.
        unproven: whether only decoding the last sample can show that it is there.
        note: parts of the file that are left out, for a warning.
        shortened: whether the file is SPHERE that NIST's shorten has compressed, which only
            sph2pipe can read.
        sample_rate: sample rate of a shortened file (Hz).
        channels: number of channels of a shortened file.
    """

    name: str
    fault: str = ""
    remedy: str = FETCH
    frames: int | None = None
    view: tuple[bytes | tuple[int, int], ...] | None = None
    endless: bool = False
    unproven: bool = False
    note: str = ""
    shortened: bool = False
    sample_rate: int = 0
    channels: int = 0


def is_placeholder(size: int, block: int = 1) -> bool:
    """Return whether a size of audio stands for "to the end of the file".

    Args:
        size: declared size, not 0 (bytes).
        block: size of one sample of all channels (bytes).
    """
    return size >= _PLACEHOLDER or size % _ROUND == 0 or size % (_ROUND * max(1, block)) == 0


def truncated(name: str, present: int, declared: int) -> Container:
    """Return the container of a file that declares more bytes of audio than it has."""
    return Container(
        name, f"truncated: {present} of the {declared} bytes of audio its header declares"
    )


def is_chunks(data: Data, at: int, form: str = "<4sI") -> bool:
    """Return whether whole chunks, at least one, fill the rest of a file.

    Args:
        data: content of the file.
        at: place where the first chunk would begin.
        form: format of a chunk's header (its name and its size) for `struct`.
    """
    header_bytes = struct.calcsize(form)
    begin = at
    while at + header_bytes <= len(data):
        name, size = struct.unpack_from(form, data, at)
        if size < 0 or not all(32 <= byte < 127 for byte in name):
            return False
        at += header_bytes + size + (size % 2 if header_bytes == 8 else 0)
    return at > begin and len(data) <= at <= len(data) + 1
