"""Recognises formats that are not read, and files that are no audio, by their first bytes."""

from __future__ import annotations

from .container import CONVERT, FETCH, Container, Data

_CONVERTED = (
    (b"\x1a\x45\xdf\xa3", "WebM or Matroska"),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "Windows Media Audio"),
    (b"#!AMR", "AMR"),
    (b"ADIF", "AAC"),
    (b"MAC ", "Monkey's Audio"),
    (b"wvpk", "WavPack"),
    (b"TTA1", "True Audio"),
    (b"TTA2", "True Audio"),
    (b"OFR ", "OptimFROG"),
    (b"MPCK", "Musepack"),
    (b"MP+", "Musepack"),
    (b".ra\xfd", "RealAudio"),
    (b".RMF", "RealMedia"),
    (b"FLV\x01", "Flash video"),
    (b"DSD ", "DSD"),
    (b"FRM8", "DSD"),
    (b"\x0b\x77", "AC-3"),
    (b"\x00\x00\x01\xba", "MPEG video"),
    (b"\x00\x00\x01\xb3", "MPEG video"),
    (b"MThd", "MIDI, which holds no speech"),
    (b"ajkg", "Shorten"),
)
_PACKED = (
    (b"\x1f\x8b", "a gzip file", "unpack it"),
    (b"PK\x03\x04", "a zip file", "unpack it"),
    (b"BZh", "a bzip2 file", "unpack it"),
    (b"\xfd7zXZ\x00", "an xz file", "unpack it"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the audio", "git lfs pull"),
    (b"<!doctype html", "a page of HTML", FETCH),
    (b"<html", "a page of HTML", FETCH),
    (b"<?xml", "a file of XML", FETCH),
    (b"%pdf", "a PDF", FETCH),
)
_MP4 = {b"M4A ": "M4A", b"M4B ": "M4A", b"qt  ": "QuickTime", b"3gp": "3GP"}
_TS_PACKET = 188


def read_foreign(data: Data, begin: int = 0) -> Container | None:
    """Return the container of a file in a format that is not read; None for other files.

    Args:
        data: content of the file.
        begin: place where the file begins, behind ID3 tags.
    """
    start = data[begin : begin + 64]
    for magic, name in _CONVERTED:
        if start.startswith(magic):
            return _refused(name)
    if start[4:8] == b"ftyp":
        names = (name for brand, name in _MP4.items() if start[8:12].startswith(brand))
        return _refused(next(names, "MP4"))
    if start[4:8] in (b"moov", b"mdat", b"wide"):
        return _refused("QuickTime")
    if start[:4] == b"RIFF" and start[8:12] == b"AVI ":
        return _refused("AVI")
    if len(start) >= 2 and start[0] == 0xFF and start[1] & 0xF6 == 0xF0:
        return _refused("AAC")
    if start[:1] == b"G" and data[begin + _TS_PACKET : begin + _TS_PACKET + 1] == b"G":
        return _refused("MPEG-TS")
    lowered = start.lstrip().lower()
    for magic, name, remedy in _PACKED:
        if start.startswith(magic) or lowered.startswith(magic):
            return Container(name, f"not audio but {name}", remedy)
    return None


def _refused(name: str) -> Container:
    return Container(name, f"a file of {name}, which is not read", CONVERT)
