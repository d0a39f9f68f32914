"""What the header of an audio file declares, beyond what libsndfile tells.

libsndfile takes a truncated WAV or SPHERE file for a shorter one.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

_LONGEST_LINE = 80
# Programs that write WAV into a pipe cannot know its length and declare about this or more.
_UNKNOWN_LENGTH = 0x7FFF0000


@dataclass(frozen=True)
class AudioHeader:
    """Sizes in bytes; `shortened` is a SPHERE file compressed by NIST's shorten.

    Args:
        declared: audio that the header declares.
        present: audio that the file holds.
        shortened: libsndfile cannot read it, sph2pipe can.
        seconds: of each channel, of a shortened file.
        channels: of a shortened file.
    """

    declared: int = 0
    present: int = 0
    shortened: bool = False
    seconds: float = 0.0
    channels: int = 0

    @property
    def fault(self) -> str:
        """What is wrong, or nothing."""
        if self.declared <= self.present:
            return ""
        return (
            f"truncated: {self.present} of the {self.declared} bytes of audio its header declares"
        )


def read_header(path: Path) -> AudioHeader:
    """Read the header of a WAV or SPHERE file; other formats give an empty one."""
    with open(path, "rb") as file:
        start = file.read(1024)
        size = os.fstat(file.fileno()).st_size
    if start[:4] == b"RIFF" and start[8:12] == b"WAVE":
        return _wav(path, size)
    if start[:7] == b"NIST_1A":
        return _sphere(path, size)
    return AudioHeader()


def _wav(path: Path, size: int) -> AudioHeader:
    with open(path, "rb") as file:
        at = 12
        while at + 8 <= size:
            file.seek(at)
            name, length = struct.unpack("<4sI", file.read(8))
            at += 8
            if name == b"data":
                unknown = length >= _UNKNOWN_LENGTH
                return AudioHeader(0 if unknown else length, size - at)
            at += length + length % 2
    return AudioHeader()


def _sphere(path: Path, size: int) -> AudioHeader:
    """NIST SPHERE: a text header of the size in its second line, then samples."""
    with open(path, "rb") as file:
        file.readline(_LONGEST_LINE)
        try:
            head = int(file.readline(_LONGEST_LINE))
        except ValueError:
            return AudioHeader()
        file.seek(0)
        lines = file.read(max(0, min(head, size))).decode("latin-1").split("\n")
    fields = {parts[0]: parts[2] for line in lines if len(parts := line.split(maxsplit=2)) == 3}
    shortened = "shorten" in fields.get("sample_coding", "")
    try:
        samples, channels = int(fields["sample_count"]), int(fields.get("channel_count", 1))
        if shortened:
            seconds = samples / int(fields["sample_rate"])
            return AudioHeader(shortened=True, seconds=seconds, channels=channels)
        return AudioHeader(samples * int(fields.get("sample_n_bytes", 2)) * channels, size - head)
    except (KeyError, ValueError, ZeroDivisionError):
        return AudioHeader(shortened=shortened)
