"""What is known of an audio file from its container alone, before anything is decoded."""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass

Data = bytes | mmap.mmap

FETCH = "fetch the audio again"
CONVERT = "convert it, e.g. ffmpeg -i FILE FILE.flac"
# Headers hold this or more where a program that wrote into a pipe could not know the length: sox
# 0x7F000000, 0x7FFFF000 and 0x7FFFFFFF, arecord 0x80000000, ffmpeg 0xFFFFFFFF, and these less the
# size of a header.
_PLACEHOLDER = 0x7F000000
# ... or a round number of samples or bytes, such as 1,000,000,000 samples.
_ROUND = 1_000_000_000
# ... or, in fields of 64 bits, this or more.
PLACEHOLDER_64 = 1 << 60


@dataclass(frozen=True)
class Container:
    """What a file's container tells.

    Args:
        name: of the format.
        fault: what is wrong, or nothing.
        remedy: what can be done about the fault.
        frames: samples of each channel, as counted here; None where libsndfile counts them right.
        view: what libsndfile is to read in place of the whole file: bytes, and ranges of the file
            from a first byte to before a last one; None for the file as it is.
        endless: the view has to seem longer than it is, for libsndfile estimates how many samples
            it holds and reads no more than that.
        unproven: whether the last sample is there has to be seen by decoding it.
        note: what was passed over, for a warning.
        shortened: SPHERE compressed by NIST's shorten: libsndfile cannot read it, sph2pipe can.
        sample_rate: of a shortened file (Hz).
        channels: of a shortened file.
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
        size: as declared, not 0 (bytes).
        block: of one sample of all channels (bytes).
    """
    return size >= _PLACEHOLDER or size % _ROUND == 0 or size % (_ROUND * max(1, block)) == 0


def truncated(name: str, present: int, declared: int) -> Container:
    """Return a container that declares more bytes of audio than there are."""
    return Container(
        name, f"truncated: {present} of the {declared} bytes of audio its header declares"
    )


def is_chunks(data: Data, at: int, form: str = "<4sI") -> bool:
    """Return whether whole chunks, and at least one, fill the rest of a file.

    Args:
        data: the file.
        at: where the first would begin.
        form: of a chunk's head, its name and its size, as `struct` has it.
    """
    head = struct.calcsize(form)
    begin = at
    while at + head <= len(data):
        name, size = struct.unpack_from(form, data, at)
        if size < 0 or not all(32 <= byte < 127 for byte in name):
            return False
        at += head + size + (size % 2 if head == 8 else 0)
    return at > begin and len(data) <= at <= len(data) + 1
