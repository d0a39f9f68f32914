"""Reads audio by segment and channel, from files or from the commands of a wav.scp."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from asr_hf.data.audio_file import AudioFile, Sound, Unreadable
from asr_hf.data.containers.container import CONVERT, FETCH
from asr_hf.data.resampling import resample as resampled
from asr_hf.runtime.children import run_command
from asr_hf.runtime.errors import InputError

log = logging.getLogger(__name__)

FORMATS = "WAV, FLAC, MP3, Ogg Vorbis or Opus, SPHERE, AIFF, AU or CAF"
_SCALE = 32768.0
# Samples read at once.
_PIECE = 1 << 22
# Seconds by which a segment may end after the audio, as in Kaldi's extract-segments.
MAX_OVERSHOOT = 0.5


@dataclass(frozen=True)
class Recording:
    """A recording, of which segments can be read.

    Args:
        name: path of the file, or the command, for messages.
        file: the audio file, or the output of the command.
    """

    name: str
    file: AudioFile

    def read(
        self,
        sample_rate: int,
        channel: int = 0,
        start: float | None = None,
        end: float | None = None,
        resample: bool = False,
    ) -> Tensor:
        """Read one channel of one segment.

        Args:
            sample_rate: sample rate of the result (Hz).
            channel: number of the channel, from 0.
            start: begin of the segment (seconds); None for the begin of the recording.
            end: end of the segment (seconds); None for the end of the recording.
            resample: whether audio of another sample rate is resampled; otherwise it is refused.

        Returns:
            Samples [N] float32 in the range of 16-bit integers, as in Kaldi.

        Raises:
            InputError: the segment cannot be read; see `load_audio` for the causes.
        """
        with self._opened() as sound:
            if isinstance(self.file.source, bytes) and sound.file.channels == 1:
                channel = 0  # a command such as sph2pipe -c 2 has chosen already
            rate = sound.file.samplerate if resample else sample_rate
            self._check(sound, rate, channel)
            first, num_samples = self._bounds(sound.frames, rate, start, end)
            try:
                sound.seek(first)
                samples = _read_channel(sound, num_samples, channel)
            except Unreadable as error:
                raise InputError(
                    f"{self.name}: truncated or damaged: {error}",
                    expected=f"{num_samples} samples from {first} on",
                    remedy=FETCH,
                ) from error
            if len(samples) < num_samples:
                raise InputError(
                    f"{self.name}: truncated: {len(samples)} samples",
                    expected=f"{num_samples}",
                    remedy=FETCH,
                )
        if rate != sample_rate:
            samples = resampled(samples, rate, sample_rate)
        return samples.mul_(_SCALE)

    @contextmanager
    def _opened(self) -> Iterator[Sound]:
        try:
            with self.file.opened() as sound:
                yield sound
        except Unreadable as error:
            raise InputError(
                f"{self.name}: not readable as audio: {error}",
                expected=FORMATS,
                remedy="fetch the audio again, or convert it",
            ) from error

    def _check(self, sound: Sound, sample_rate: int, channel: int) -> None:
        audio = sound.file
        if audio.samplerate != sample_rate:
            raise InputError(
                f"{self.name}: sample rate {audio.samplerate} Hz",
                expected=f"{sample_rate} Hz",
                remedy="set features.sample_rate, or features.resample=true",
            )
        if not 0 <= channel < audio.channels:
            raise InputError(
                f"{self.name}: channel {channel + 1} of {audio.channels}",
                expected=f"a channel from 1 to {audio.channels}",
                remedy="mend reco2file_and_channel, or remove it where every channel has its file",
            )
        if sound.frames <= 0:
            raise InputError(f"{self.name}: holds no audio", expected="samples", remedy=FETCH)

    def _bounds(
        self, frames: int, sample_rate: int, start: float | None, end: float | None
    ) -> tuple[int, int]:
        """Return the first sample and the number of samples of a segment."""
        first = 0 if start is None else round(start * sample_rate)
        last = frames if end is None else round(end * sample_rate)
        if not 0 <= first < min(last, frames) or last > frames + MAX_OVERSHOOT * sample_rate:
            times = f"from {start or 0.0:g} s " + ("on" if end is None else f"to {end:g} s")
            raise InputError(
                f"{self.name}: segment {times}",
                expected=f"a segment within {frames / sample_rate:.2f} s of audio",
                remedy="mend segments",
            )
        return first, min(last, frames) - first


def _read_channel(sound: Sound, count: int, channel: int) -> Tensor:
    """Return the next samples of one channel, at most `count`.

    They are read in pieces: a header may declare more than memory holds.
    """
    pieces = [torch.zeros(0)]
    while count > 0:
        piece = sound.read(min(count, _PIECE))
        pieces.append(torch.from_numpy(piece[:, channel].copy()))
        count = count - len(piece) if len(piece) else 0
    return torch.cat(pieces)


def open_recording(entry: str | Path, allow_pipes: bool = False) -> Recording:
    """Open an entry of wav.scp: a file, or a command that ends in "|".

    A command runs once, in the shell, and so does `sph2pipe` for shortened SPHERE files. The output
    is checked like a file.

    Args:
        entry: path of the file, or the command with its bar.
        allow_pipes: whether commands may be run.

    Returns:
        The recording.

    Raises:
        InputError: the file is missing, empty, truncated or of a format that is not read, or the
            command is not allowed or fails.
    """
    if str(entry).endswith("|"):
        check_pipe(str(entry), allow_pipes)
        output = _output(["bash", "-o", "pipefail", "-c", str(entry)[:-1]])
        return _recording(str(entry), output)
    path = Path(entry)
    # os.path.isfile answers for names that no file can have; Path.is_file raises an error.
    if not os.path.isfile(path):
        raise InputError(
            f"{path}: no such audio file",
            expected="a file",
            remedy="mend wav.scp or fetch the audio",
        )
    try:
        return _recording(str(path), path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror}", remedy="mend its permissions"
        ) from error


def _recording(name: str, source: Path | bytes) -> Recording:
    """Return a recording, after checking its container."""
    file = AudioFile.of(source, trust=False)
    container = file.container
    if container.fault:
        raise InputError(
            f"{name}: {container.fault}",
            expected=FORMATS if container.remedy == CONVERT else "whole audio",
            remedy=container.remedy,
        )
    if container.note:
        log.warning("%s: %s", name, container.note)
    if not container.shortened:
        return Recording(name, file)
    if isinstance(source, bytes):
        raise InputError(
            f"{name}: prints shortened SPHERE",
            expected=FORMATS,
            remedy="let sph2pipe -f wav expand it",
        )
    expanded = _recording(name, _expand(source))
    with expanded._opened() as sound:
        if sound.frames < (container.frames or 0):
            raise InputError(
                f"{name}: truncated: {sound.frames} of the {container.frames} samples its header "
                "declares",
                expected="whole audio",
                remedy=FETCH,
            )
    return expanded


def load_audio(
    path: str | Path,
    sample_rate: int,
    channel: int = 0,
    start: float | None = None,
    end: float | None = None,
) -> Tensor:
    """Read one channel of an audio file in one of `FORMATS` or a related format.

    Shortened SPHERE files need the program `sph2pipe`.

    Args:
        path: the audio file.
        sample_rate: sample rate that the file must have (Hz).
        channel: number of the channel, from 0.
        start: begin of the segment (seconds); None for the begin of the file.
        end: end of the segment (seconds), at most 0.5 s after the audio; None for the end of the
            file.

    Returns:
        Samples [N] float32 in the range of 16-bit integers, as in Kaldi.

    Raises:
        InputError: the file is missing, truncated, empty, or of a format that is not read; it has
            another sample rate or no such channel; or the segment is not within the audio.
    """
    return open_recording(path).read(sample_rate, channel, start, end)


def check_pipe(entry: str, allow_pipes: bool) -> None:
    """Refuse an entry of wav.scp that is a command, unless commands are allowed.

    Raises:
        InputError: the entry ends in "|", and `allow_pipes` is false.
    """
    if entry.endswith("|") and not allow_pipes:
        raise InputError(
            f"wav.scp holds a command: {entry!r}",
            expected="audio files; commands run only when they are allowed",
            remedy="set features.allow_pipes=true if you trust this file",
        )


def _expand(path: Path) -> bytes:
    program = shutil.which("sph2pipe")
    if program is None:
        raise InputError(
            f"{path}: a shortened SPHERE file, and there is no sph2pipe",
            expected=FORMATS,
            remedy="install sph2pipe on the PATH, or convert the file",
        )
    return _output([program, "-f", "wav", "-p", str(path)])


def _output(command: list[str]) -> bytes:
    """Return the standard output of a command.

    Raises:
        InputError: the command fails or prints nothing; the message holds its standard error.
    """
    try:
        completed = run_command(command)
    except OSError as error:
        raise InputError(f"{command[0]}: cannot be run: {error.strerror}") from error
    if completed.returncode or not completed.stdout:
        errors = completed.stderr.decode(errors="replace").strip()[-2000:]
        raise InputError(
            f"{command[-1].strip()}: exit status {completed.returncode}, "
            f"{len(completed.stdout)} bytes of audio: {errors or 'no message'}",
            expected="exit status 0 and audio",
            remedy="run the command by hand",
        )
    return completed.stdout
