"""Reads Ogg, and checks that the stream ends where the file does. Source: RFC 3533."""

from __future__ import annotations

from .container import CONVERT, Container, Data

_HEAD = 27
# The longest page, and as much again for bytes that may stand behind it.
_TAIL = 2 * 65307
_FIRST, _LAST = 2, 4
_CODINGS = {b"\x01vorbis": "Vorbis", b"OpusHead": "Opus"}
_FOREIGN = {
    b"Speex   ": "Speex",
    b"\x7fFLAC": "FLAC",
    b"\x80theora": "Theora",
    b"fishead": "several streams",
    b"\x01video": "video",
}
_AGAIN = "fetch the audio again; if this is all there is, ffmpeg -i FILE -c copy NEW ends it"


def read_ogg(data: Data) -> Container:
    """Read a file that begins with a page of Ogg."""
    packet = data[_HEAD + data[26] :][:8] if len(data) > _HEAD else b""
    for start, coding in _FOREIGN.items():
        if packet.startswith(start):
            return Container("Ogg", f"Ogg of {coding}, which is not read", CONVERT)
    name = next((f"Ogg {c}" for s, c in _CODINGS.items() if packet.startswith(s)), "Ogg")
    begin = max(0, len(data) - _TAIL)
    tail = data[begin:]
    at = len(tail)
    while (at := tail.rfind(b"OggS\0", 0, at)) >= 0:
        head = tail[at : at + _HEAD]
        segments = tail[at + _HEAD : at + _HEAD + head[26]] if len(head) == _HEAD else b""
        if len(head) < _HEAD or len(segments) < head[26]:
            return Container(name, "truncated: the file ends within a page of Ogg", _AGAIN)
        if at + _HEAD + len(segments) + sum(segments) > len(tail):
            return Container(name, "truncated: the file ends within a page of Ogg", _AGAIN)
        if not head[5] & _LAST:
            return Container(name, "truncated: no page ends its stream", _AGAIN)
        if _is_chained(data):
            return Container(name, "several Ogg files in one, which are not read", CONVERT)
        return Container(name, unproven=True)
    return Container(name, "truncated: no page ends its stream", _AGAIN)


def _is_chained(data: Data) -> bool:
    """Return whether another Ogg file follows, whose first page comes behind other pages."""
    at = 0
    while data[at : at + 4] == b"OggS" and len(data) > at + _HEAD and data[at + 5] & _FIRST:
        count = data[at + 26]
        at += _HEAD + count + sum(data[at + _HEAD : at + _HEAD + count])
    return data.find(b"OggS\0\2", at) >= 0
