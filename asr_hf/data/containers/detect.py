"""Recognises a file's container by its first bytes, and reads it."""

from __future__ import annotations

from .chunked import read_aiff, read_au, read_caf
from .container import Container, Data
from .flac import read_flac
from .foreign import read_foreign
from .mpeg import is_mpeg, read_mpeg
from .ogg import read_ogg
from .sphere import read_sphere
from .tags import skip_id3
from .wave import read_w64, read_wave

_W64 = bytes.fromhex("726966662e91cf11a5d628db04c10000")


def read_container(data: Data, trust: bool = True) -> Container:
    """Return the container of a file; one of an unknown format has no facts.

    Nothing is decoded. For WAV and its relatives, AIFF, AU, CAF, SPHERE, FLAC and Ogg some bytes at
    the begin or the end are read; MPEG audio without a header to be trusted is read frame by frame.

    Args:
        data: content of the file.
        trust: whether MPEG's header is believed, as far as it agrees with the size of the file.
    """
    if not len(data):
        return Container("", "empty audio file")
    begin = skip_id3(data)
    start = data[begin : begin + 16]
    if start[:4] == b"fLaC":
        return read_flac(data, begin)
    if begin:
        return read_foreign(data, begin) or read_mpeg(data, begin, trust=trust)
    if start[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and start[8:12] == b"WAVE":
        return read_wave(data)
    if start == _W64:
        return read_w64(data)
    if start[:4] == b"FORM" and start[8:12] in (b"AIFF", b"AIFC"):
        return read_aiff(data)
    if start[:4] in (b".snd", b"dns."):
        return read_au(data)
    if start[:4] == b"caff":
        return read_caf(data)
    if start[:7] == b"NIST_1A":
        return read_sphere(data)
    if start[:4] == b"OggS":
        return read_ogg(data)
    if (foreign := read_foreign(data)) is not None:
        return foreign
    if is_mpeg(data):
        return read_mpeg(data, trust=trust)
    return Container("", unproven=True)
