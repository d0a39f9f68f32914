"""Finds the speaker of each side of a conversation."""

from __future__ import annotations

import re
from pathlib import Path

from asr_hf.runtime.errors import InputError

from .text_files import numbered_lines

_NUMBER = re.compile(r"[0-9]{1,9}")


def read_conv_tab(path: Path) -> dict[str, str]:
    """Read the callers of each conversation from conv.tab of LDC97S62.

    Returns:
        Speakers (sw1028) by side (sw02001-A).

    Raises:
        InputError: the file cannot be read, a line is malformed, or no line names a caller.
    """
    speakers: dict[str, str] = {}
    for place, line in numbered_lines(path):
        fields = [field.strip().strip('"') for field in line.split(",")]
        if len(fields) < 4 or not all(_NUMBER.fullmatch(fields[i]) for i in (0, 2, 3)):
            raise InputError(
                f"{place}: {line[:80]!r}",
                expected="conversation, topic, pin of caller A, pin of caller B, ...",
                remedy="name conv.tab of LDC97S62 in corpus.conv_tab, or null",
            )
        for side, pin in zip("AB", fields[2:4], strict=True):
            speakers[f"sw{int(fields[0]):05d}-{side}"] = f"sw{pin}"
    if not speakers:
        raise InputError(f"{path}: names no conversation")
    return speakers


def speaker_and_name(recording: str, segment: str, speakers: dict[str, str]) -> tuple[str, str]:
    """Name the speaker and the utterance of a segment.

    The name begins with a known caller, so that utterances sort as their speakers do. A side whose
    caller is unknown is a speaker of its own.

    Returns:
        The speaker and the utterance id.
    """
    known = speakers.get(recording)
    return (known, f"{known}-{segment}") if known else (recording, segment)
