"""Reads MPEG audio, layers I to III, and counts its frames, whose number libsndfile only estimates.

If no special first frame (Xing's, LAME's "Info") gives the number of frames, libsndfile divides the
size of the file by that of the first frames, and a loud beginning loses the end. Here the headers
of all frames are read, but nothing is decoded: a million frames, some seven hours, take about a
second. A number that agrees with the number of bytes beside it is trusted.

Sources: ISO 11172-3 and 13818-3; LAME's "Mp3 Info Tag rev 1".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from .container import CONVERT, Container, Data
from .tags import without_tags

# Bit rates (kbit/s) by the code in the header, for each layer: of MPEG 1, then of MPEG 2 and 2.5.
_RATES_1 = {
    1: (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    2: (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
}
_RATES_2 = {
    1: (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES_2[3] = _RATES_2[2]
_HZ = (44100, 48000, 32000)
# Divisors of the sample rate by the code of the version: MPEG 2.5, none, 2, 1.
_DIVISOR = (4, 0, 2, 1)
# So many headers must follow one another where a stream is looked for.
_RUN = 3
# A stream must begin within so many bytes.
_REACH = 1 << 16
# The shortest and the longest frame of layer III (bytes).
_SIZES = (24, 1441)
# Encoders whose delay and padding are cut off, as ffmpeg does.
_GAPLESS = (b"LAME", b"Lavf", b"Lavc")


@dataclass(frozen=True)
class _Kind:
    """The properties that all frames of a stream share.

    Args:
        layer: number of the layer, 1 to 3.
        sample_rate: sample rate (Hz).
        channels: number of channels, 1 or 2.
        samples: number of samples of a frame.
    """

    layer: int
    sample_rate: int
    channels: int
    samples: int


def _headers() -> dict[int, tuple[int, _Kind]]:
    """Return size (bytes) and kind of a frame by those bits of its header that determine them."""
    frames = {}
    for version in (0, 2, 3):
        for layer in (1, 2, 3):
            for code, kbits in enumerate((_RATES_1 if version == 3 else _RATES_2)[layer], 1):
                for hz, rate in enumerate(_HZ):
                    for padding in (0, 1):
                        for mode in range(4):
                            head = 0xFFE00000 | version << 19 | (4 - layer) << 17
                            head |= code << 12 | hz << 10 | padding << 9 | mode << 6
                            frames[head] = _frame(version, layer, kbits, rate, padding, mode)
    return frames


def _frame(
    version: int, layer: int, kbits: int, rate: int, padding: int, mode: int
) -> tuple[int, _Kind]:
    rate //= _DIVISOR[version]
    samples = 384 if layer == 1 else 576 if layer == 3 and version != 3 else 1152
    if layer == 1:
        size = (12 * kbits * 1000 // rate + padding) * 4
    else:
        size = samples // 8 * kbits * 1000 // rate + padding
    return size, _Kind(layer, rate, 1 if mode == 3 else 2, samples)


# The bits of sync, version, layer, bit rate, sample rate, padding and mode.
_MASK = 0xFFFEFEC0
_KNOWN = _headers()


def _at(data: Data, at: int) -> tuple[int, _Kind] | None:
    return _KNOWN.get(int.from_bytes(data[at : at + 4], "big") & _MASK)


def is_mpeg(data: Data, start: int = 0) -> bool:
    """Return whether MPEG frames begin at `start` or a little behind it."""
    return _find(data, start, min(len(data), start + _REACH), len(data)) is not None


def read_mpeg(data: Data, start: int = 0, end: int | None = None, trust: bool = True) -> Container:
    """Read the stream between two places of a file, without the tags before and behind it.

    Args:
        data: content of the file.
        start: place where the stream begins, or junk before it.
        end: end of the stream and its tags (exclusive); None for the end of the file.
        trust: whether a number of frames is believed if it agrees with the number of bytes.

    Returns:
        The container.
    """
    end = without_tags(data, start, len(data) if end is None else end)
    first = _find(data, start, min(end, start + _REACH), end)
    if first is None:
        if _is_free(data, start):
            return Container("MPEG", "MPEG audio of no fixed bit rate, which is not read", CONVERT)
        return Container("MPEG", "holds no audio", "fetch the audio again, or convert it")
    size, kind = _KNOWN[int.from_bytes(data[first : first + 4], "big") & _MASK]
    name = f"MPEG layer {'I' * kind.layer}"
    info = _Info.parse(data, first, size, kind)
    agrees = info.size in (end - first, end - first - size) and info.is_possible
    if trust and agrees and info.is_gapless:
        return Container(name, view=((first, end),))
    begin = first + size if info.known else first
    walk = _walk(data, begin, end, kind)
    if walk.fault:
        return Container(name, walk.fault, CONVERT if walk.changed else "fetch the audio again")
    if walk.lost(info.frames):
        fault = f"truncated: {walk.count} of the {info.frames} frames its header declares"
        return Container(name, fault)
    if not walk.count:
        return Container(name, "holds no audio")
    note = f"{walk.passed} bytes that are no MPEG frames were passed over" if walk.passed else ""
    if info.is_gapless:
        header = bytearray(data[first:begin])
        struct.pack_into(">I", header, info.at + 8, walk.count)
        return Container(name, view=(bytes(header), *walk.spans), note=note)
    frames = walk.count * kind.samples
    return Container(name, frames=frames, view=tuple(walk.spans), endless=True, note=note)


@dataclass(frozen=True)
class _Info:
    """The first frame of a stream, if it describes the others.

    Args:
        known: whether it describes the others, and so holds no audio.
        at: place of its mark in the frame.
        frames: number of frames it declares; 0 for none.
        size: size of the stream it declares (bytes).
        is_gapless: whether it gives the samples that the encoder put before and behind the audio.
    """

    known: bool = False
    at: int = 0
    frames: int = 0
    size: int = 0
    is_gapless: bool = False

    @property
    def is_possible(self) -> bool:
        """Whether the mean size of the declared frames is one that frames can have."""
        return 0 < self.frames * _SIZES[0] <= self.size <= (self.frames + 1) * _SIZES[1]

    @classmethod
    def parse(cls, data: Data, first: int, size: int, kind: _Kind) -> _Info:
        """Parse the first frame."""
        frame = data[first : first + size]
        if kind.layer != 3:
            return cls()
        if frame[36:40] == b"VBRI" and len(frame) >= 54:
            count = int.from_bytes(frame[50:54], "big")
            return cls(True, 36, count, int.from_bytes(frame[46:50], "big"))
        wide = kind.samples == 1152
        at = 4 + ((17 if kind.channels == 1 else 32) if wide else (9 if kind.channels == 1 else 17))
        if frame[at : at + 4] not in (b"Xing", b"Info") or len(frame) < at + 8:
            return cls()
        flags = int.from_bytes(frame[at + 4 : at + 8], "big")
        offset = at + 8
        declared = {}
        for bit, length in ((1, 4), (2, 4), (4, 100), (8, 4)):
            if flags & bit:
                declared[bit] = int.from_bytes(frame[offset : offset + 4], "big")
                offset += length
        gapless = bool(flags & 1) and frame[offset : offset + 4] in _GAPLESS
        return cls(True, at, declared.get(1, 0), declared.get(2, 0), gapless)


@dataclass
class _Walk:
    """The frames that a walk through a stream has found.

    Args:
        spans: ranges of the file with frames, as begin and end (exclusive).
        count: number of frames.
        passed: number of bytes between the ranges, which are no frames.
        fault: what is wrong with the stream; empty if nothing is.
        changed: whether the fault is a change of the sample rate or of the channels.
    """

    spans: list[tuple[int, int]]
    count: int = 0
    passed: int = 0
    fault: str = ""
    changed: bool = False

    def lost(self, declared: int) -> bool:
        """Return whether more frames are missing than were damaged.

        One frame may always be missing: some encoders count the frame that holds the number.
        """
        mean = sum(last - first for first, last in self.spans) / max(1, self.count)
        damaged = self.passed / mean + len(self.spans) if self.passed else 0
        return declared - 1 > self.count + damaged


def _walk(data: Data, begin: int, end: int, kind: _Kind) -> _Walk:
    """Go through a stream frame by frame; behind a damaged frame, go on where others follow."""
    walk = _Walk([])
    at = span = begin
    mask, known, from_bytes = _MASK, _KNOWN.get, int.from_bytes
    while at < end:
        frame = known(from_bytes(data[at : at + 4], "big") & mask)
        if frame is not None and frame[1] == kind:
            if at + frame[0] > end:
                walk.fault = f"truncated: {end - at} of the {frame[0]} bytes of its last frame"
                break
            at += frame[0]
            walk.count += 1
            continue
        follows = _find(data, at, end, end)
        if span < at:
            walk.spans.append((span, at))
        if follows is None:
            return walk
        other = _at(data, follows)
        if other is not None and other[1] != kind:
            seconds = walk.count * kind.samples / kind.sample_rate
            walk.fault = (
                f"after {seconds:.2f} s it goes on with {other[1].sample_rate} Hz and "
                f"{other[1].channels} channels in place of {kind.sample_rate} Hz and "
                f"{kind.channels}"
            )
            walk.changed = True
            return walk
        walk.passed += follows - at
        at = span = follows
    if span < at:
        walk.spans.append((span, at))
    return walk


def _find(data: Data, start: int, stop: int, end: int) -> int | None:
    """Return the first place from `start` to `stop` where three whole frames of one kind stand.

    Fewer frames suffice if the stream ends behind them.
    """
    for at in _syncs(data, start, stop):
        here, kind = at, None
        for number in range(_RUN):
            frame = _at(data, here)
            if frame is None or (kind is not None and frame[1] != kind):
                # Frames may end where the stream does.
                if number and here == end:
                    return at
                break
            kind = frame[1]
            here += frame[0]
            if here > end:
                if number:
                    return at
                break
        else:
            return at
    return None


def _syncs(data: Data, start: int, stop: int) -> Iterator[int]:
    at = data.find(b"\xff", start, stop)
    while at >= 0:
        if int.from_bytes(data[at : at + 4], "big") & _MASK in _KNOWN:
            yield at
        at = data.find(b"\xff", at + 1, stop)


def _is_free(data: Data, start: int) -> bool:
    """Return whether a frame of the free format (no bit rate in its header) begins at `start`."""
    head = int.from_bytes(data[start : start + 4], "big")
    return head & 0xFFE0F000 == 0xFFE00000 and (head & _MASK | 1 << 12) in _KNOWN
