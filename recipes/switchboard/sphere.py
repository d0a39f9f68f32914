"""Finds two-channel SPHERE recordings, and checks that they are complete."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from asr_hf.data.audio_check import measure
from asr_hf.data.audio_file import AudioFile
from asr_hf.data.kaldi_dir import write_table
from asr_hf.runtime.errors import InputError

log = logging.getLogger("asr_hf.recipes.switchboard")

SIDES = "AB"


def find_recordings(folder: Path) -> dict[str, Path]:
    """Find every *.sph below a folder, in any case; return files by name in lower case."""
    recordings: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() == ".sph":
            first = recordings.setdefault(path.stem.lower(), path)
            if first is not path:
                log.warning("%s: not used, %s is the same recording", path, first)
    return recordings


@dataclass(frozen=True)
class Sound:
    """A complete recording: its file and the length of each channel (seconds)."""

    path: Path
    seconds: float


def check_recording(path: Path) -> Sound | str:
    """Check a recording.

    Returns:
        The recording, or what is wrong with it.

    Raises:
        InputError: it is compressed by shorten, as all of them may be, and sph2pipe is not
            installed.
    """
    try:
        shortened = AudioFile.of(path).container.shortened
    except OSError as error:
        return f"{path}: cannot be read: {error.strerror}"
    if shortened and shutil.which("sph2pipe") is None:
        raise InputError(
            f"{path}: a SPHERE file compressed by shorten, and there is no sph2pipe",
            expected="plain SPHERE audio, or sph2pipe on the PATH",
            remedy="install sph2pipe; or expand the files in place, with w_decode or sph2pipe",
        )
    size = measure(str(path))
    if isinstance(size, str):
        return f"{path}: {size}"
    if size.channels != len(SIDES):
        return f"{path}: {size.channels} channels, expected one for each of the two callers"
    return Sound(path, size.seconds)


def side_of(recording: str) -> tuple[str, int]:
    """Return file name and 0-based channel of a side: sw02001-B is channel 1 of sw02001."""
    name, _, side = recording.rpartition("-")
    return name, SIDES.index(side)


def write_channels(folder: Path, recordings: Iterable[str]) -> None:
    """Write reco2file_and_channel (`sw02001-A sw02001 A`), which gives a ctm its file names."""
    rows = ((r, " ".join(r.rpartition("-")[::2])) for r in recordings)
    write_table(folder / "reco2file_and_channel", rows)
