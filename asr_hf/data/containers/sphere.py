"""Reads NIST SPHERE: a text header, whose second line holds its size, then samples."""

from __future__ import annotations

from .container import Container, Data, truncated

_LONGEST_HEADER = 1 << 20


def read_sphere(data: Data) -> Container:
    """Read a file that begins with NIST_1A."""
    lines = data[:160].split(b"\n", 2)
    try:
        header_size = int(lines[1]) if len(lines) > 2 else 0
    except ValueError:
        header_size = 0
    if not 16 <= header_size <= _LONGEST_HEADER:
        return Container("SPHERE")
    text = data[: min(header_size, len(data))].decode("latin-1").split("\n")
    fields = {parts[0]: parts[2] for line in text if len(parts := line.split(maxsplit=2)) == 3}
    shortened = "shorten" in fields.get("sample_coding", "")
    samples, rate = _number(fields, "sample_count", 0), _number(fields, "sample_rate", 0)
    channels = _number(fields, "channel_count", 1)
    if shortened:
        return Container(
            "SPHERE", frames=samples, shortened=True, sample_rate=rate, channels=channels
        )
    present = len(data) - header_size
    declared = samples * _number(fields, "sample_n_bytes", 2) * channels
    if present <= 0 and not declared:
        return Container("SPHERE", "holds no audio")
    if declared > present:
        return truncated("SPHERE", present, declared)
    # Where the number is missing or not known, libsndfile reads to the end.
    return Container("SPHERE", frames=samples if samples > 0 else None)


def _number(fields: dict[str, str], key: str, default: int) -> int:
    try:
        return int(fields.get(key, default))
    except ValueError:
        return default
