"""Audio files, opened with the length that they truly have."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from asr_hf.data.audio_view import mapped, seen
from asr_hf.data.containers.container import Container
from asr_hf.data.containers.detect import read_container

log = logging.getLogger(__name__)

_STDERR = 2
# How lines of libmpg123 begin; libsndfile lets them through.
_LIBRARY = ("[src/libmpg123", "Note: ", "Warning: ")
_STRIDE = 1 << 16


class Unreadable(Exception):
    """libsndfile cannot open or decode the audio; says why, with what libraries below it said."""


class Said:
    """What was written to the standard error while `quiet` held it back."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @property
    def lines(self) -> list[str]:
        """The lines so far."""
        if self._descriptor < 0:
            return []
        size = os.fstat(self._descriptor).st_size
        return os.pread(self._descriptor, size, 0).decode(errors="replace").splitlines()

    def error(self, error: soundfile.LibsndfileError) -> Unreadable:
        """Return what went wrong, with the last line of a library in brackets."""
        found = [line for line in self.lines if line.startswith(_LIBRARY)]
        more = f" ({found[-1].rpartition(' error: ')[2]})" if found else ""
        return Unreadable(error.error_string.rstrip(".") + more)


@contextmanager
def quiet() -> Iterator[Said]:
    """Hold back what libraries write to the standard error.

    Lines of others, such as another thread's, are written afterwards.
    """
    try:
        kept = os.dup(_STDERR)
    except OSError:  # there is none
        yield Said(-1)
        return
    held = os.memfd_create("stderr")
    said = Said(held)
    try:
        sys.stderr.flush()
        os.dup2(held, _STDERR)
        try:
            yield said
        finally:
            sys.stderr.flush()
            os.dup2(kept, _STDERR)
            for line in said.lines:
                if line.startswith(_LIBRARY):
                    log.debug("%s", line)
                elif line:
                    os.write(_STDERR, f"{line}\n".encode())
    finally:
        os.close(kept)
        os.close(held)


@dataclass(frozen=True)
class Sound:
    """An opened audio file.

    Args:
        file: libsndfile's.
        counted: samples of each channel by the container; None where libsndfile's are right.
        said: what libraries wrote to the standard error.
    """

    file: soundfile.SoundFile
    counted: int | None
    said: Said

    @property
    def frames(self) -> int:
        """Samples of each channel."""
        return int(self.file.frames) if self.counted is None else self.counted

    def seek(self, frame: int) -> None:
        """Go to a sample; a coding that cannot be sought in is read and dropped up to there.

        Raises:
            Unreadable: what libsndfile says.
        """
        if not self.file.seekable():
            while frame > 0 and (found := len(self.read(min(frame, _STRIDE)))):
                frame -= found
            return
        try:
            self.file.seek(frame)
        except soundfile.LibsndfileError as error:
            raise self.said.error(error) from error

    def read(self, count: int) -> np.ndarray:
        """Return the next samples, at most `count` [samples, channels], float32 within ±1.

        Raises:
            Unreadable: what libsndfile says.
        """
        try:
            samples: np.ndarray = self.file.read(count, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise self.said.error(error) from error
        except ValueError as error:  # soundfile's, where places contradict one another
            raise Unreadable("its header contradicts itself") from error
        return samples


@dataclass(frozen=True)
class AudioFile:
    """An audio file, or what a command put out.

    Args:
        source: the file, or the bytes.
        container: what it tells of itself.
    """

    source: Path | bytes
    container: Container

    @classmethod
    def of(cls, source: Path | bytes, trust: bool = True) -> AudioFile:
        """Look at the container of a file.

        Args:
            source: the file, or its bytes.
            trust: believe MPEG's header, as far as it agrees with the size of the file.

        Raises:
            OSError: it cannot be read.
        """
        with mapped(source) as data:
            return cls(source, read_container(data, trust))

    @contextmanager
    def opened(self) -> Iterator[Sound]:
        """Open it for reading.

        Raises:
            Unreadable: it is no audio that libsndfile knows.
            OSError: it cannot be read.
        """
        with seen(self.source, self.container) as source, quiet() as said:
            try:
                file = soundfile.SoundFile(source)
            except soundfile.LibsndfileError as error:
                raise said.error(error) from error
            with file:
                yield Sound(file, self.container.frames, said)
