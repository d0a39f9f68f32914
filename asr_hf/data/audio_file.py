"""Opens audio files with their true length, even where their headers are wrong."""

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

from asr_hf.data.audio_view import mapped, sndfile_source
from asr_hf.data.containers.container import Container
from asr_hf.data.containers.detect import read_container

log = logging.getLogger(__name__)

_STDERR = 2
# Beginnings of lines that libmpg123 writes to the standard error.
_LIBRARY = ("[src/libmpg123", "Note: ", "Warning: ")
_STRIDE = 1 << 16


class Unreadable(Exception):
    """libsndfile cannot open or decode the audio; the message holds what its libraries said."""


class CapturedStderr:
    """The text that was written to the standard error while `captured_stderr` held it back.

    Args:
        descriptor: open descriptor of a file with the text; -1 for none.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @property
    def lines(self) -> list[str]:
        """The lines that were written so far."""
        if self._descriptor < 0:
            return []
        size = os.fstat(self._descriptor).st_size
        return os.pread(self._descriptor, size, 0).decode(errors="replace").splitlines()

    def error(self, error: soundfile.LibsndfileError) -> Unreadable:
        """Return the error for the user, with the last line of a library in brackets."""
        library_lines = [line for line in self.lines if line.startswith(_LIBRARY)]
        detail = f" ({library_lines[-1].rpartition(' error: ')[2]})" if library_lines else ""
        return Unreadable(error.error_string.rstrip(".") + detail)


@contextmanager
def captured_stderr() -> Iterator[CapturedStderr]:
    """Hold back what libraries write to the standard error.

    Lines from elsewhere, such as another thread, are written after the block.

    Yields:
        The text that was held back.
    """
    try:
        stderr = os.dup(_STDERR)
    except OSError:  # this process has no standard error
        yield CapturedStderr(-1)
        return
    buffer = os.memfd_create("stderr")
    captured = CapturedStderr(buffer)
    try:
        sys.stderr.flush()
        os.dup2(buffer, _STDERR)
        try:
            yield captured
        finally:
            sys.stderr.flush()
            os.dup2(stderr, _STDERR)
            for line in captured.lines:
                if line.startswith(_LIBRARY):
                    log.debug("%s", line)
                elif line:
                    os.write(_STDERR, f"{line}\n".encode())
    finally:
        os.close(stderr)
        os.close(buffer)


@dataclass(frozen=True)
class Sound:
    """An audio file that is open for reading.

    Args:
        file: the file, as libsndfile reads it.
        counted: number of samples of each channel by the container; None where libsndfile's number
            is right.
        stderr: text that libraries wrote to the standard error.
    """

    file: soundfile.SoundFile
    counted: int | None
    stderr: CapturedStderr

    @property
    def frames(self) -> int:
        """The number of samples of each channel."""
        return int(self.file.frames) if self.counted is None else self.counted

    def seek(self, frame: int) -> None:
        """Go to a sample; where the coding allows no seeking, read and drop the samples before.

        Args:
            frame: number of the sample, from 0.

        Raises:
            Unreadable: libsndfile fails.
        """
        if not self.file.seekable():
            while frame > 0 and (count := len(self.read(min(frame, _STRIDE)))):
                frame -= count
            return
        try:
            self.file.seek(frame)
        except soundfile.LibsndfileError as error:
            raise self.stderr.error(error) from error

    def read(self, count: int) -> np.ndarray:
        """Return the next samples [N, channels], float32 within ±1; at most `count` of them.

        Raises:
            Unreadable: libsndfile fails, or the header contradicts itself.
        """
        try:
            samples: np.ndarray = self.file.read(count, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise self.stderr.error(error) from error
        except ValueError as error:  # soundfile's, where the header's offsets contradict
            raise Unreadable("its header contradicts itself") from error
        return samples


@dataclass(frozen=True)
class AudioFile:
    """An audio file, or the output of a command.

    Args:
        source: path of the file, or the bytes.
        container: what its container declares and holds.
    """

    source: Path | bytes
    container: Container

    @classmethod
    def of(cls, source: Path | bytes, trust: bool = True) -> AudioFile:
        """Read the container of a file.

        Args:
            source: path of the file, or the bytes.
            trust: whether the header of an MPEG file is believed, as far as it agrees with the size
                of the file.

        Returns:
            The file with its container.

        Raises:
            OSError: the file cannot be read.
        """
        with mapped(source) as data:
            return cls(source, read_container(data, trust))

    @contextmanager
    def opened(self) -> Iterator[Sound]:
        """Open the file for reading, for the block.

        Yields:
            The open file.

        Raises:
            Unreadable: the file is no audio that libsndfile knows.
            OSError: the file cannot be read.
        """
        with sndfile_source(self.source, self.container) as source, captured_stderr() as stderr:
            try:
                file = soundfile.SoundFile(source)
            except soundfile.LibsndfileError as error:
                raise stderr.error(error) from error
            with file:
                yield Sound(file, self.container.frames, stderr)
