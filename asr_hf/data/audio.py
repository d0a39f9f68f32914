"""Reading audio, by segment and channel."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import soundfile
import torch
from torch import Tensor

from asr_hf.runtime.errors import InputError

_SCALE = 32768.0


def load_audio(
    path: str | Path,
    sample_rate: int,
    channel: int = 0,
    start: float | None = None,
    end: float | None = None,
) -> Tensor:
    """Read one channel of WAV, FLAC, OGG or NIST SPHERE audio.

    Shortened SPHERE files go through `sph2pipe` when it is installed.

    Args:
        path: the audio file.
        sample_rate: what the file must have (Hz).
        channel: 0-based.
        start: where to begin (seconds), None for the beginning.
        end: where to end (seconds), None for the end.

    Returns:
        [samples] float32 in the range of 16-bit integers, as Kaldi has it.

    Raises:
        InputError: missing, truncated or empty file, another sample rate, or no such channel.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such audio file", remedy="mend wav.scp or fetch the audio")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: empty audio file", remedy="fetch the audio again")
    try:
        return _read(path, sample_rate, channel, start, end)
    except soundfile.LibsndfileError as error:
        if path.suffix.lower() == ".sph":
            return _through_sph2pipe(path, sample_rate, channel, start, end, error)
        raise InputError(
            f"{path}: not readable as audio: {error}", remedy="fetch the audio again"
        ) from error


def _read(
    path: Path, sample_rate: int, channel: int, start: float | None, end: float | None
) -> Tensor:
    with soundfile.SoundFile(path) as audio:
        if audio.samplerate != sample_rate:
            raise InputError(
                f"{path}: sample rate {audio.samplerate} Hz",
                expected=f"{sample_rate} Hz",
                remedy="resample the audio, or set features.sample_rate",
            )
        if not 0 <= channel < audio.channels:
            raise InputError(
                f"{path}: channel {channel + 1} of {audio.channels}",
                expected=f"a channel from 1 to {audio.channels}",
            )
        first = 0 if start is None else round(start * sample_rate)
        last = audio.frames if end is None else round(end * sample_rate)
        if not 0 <= first < min(last, audio.frames):
            raise InputError(
                f"{path}: nothing from {start} s to {end} s",
                expected=f"a segment within {audio.frames / sample_rate:.2f} s",
                remedy="mend segments",
            )
        audio.seek(first)
        wanted = min(last, audio.frames) - first
        samples = audio.read(wanted, dtype="float32", always_2d=True)
    if len(samples) < wanted:
        raise InputError(
            f"{path}: truncated: {len(samples)} samples",
            expected=f"{wanted}",
            remedy="fetch the audio again",
        )
    return torch.from_numpy(samples[:, channel]).mul(_SCALE)


def _through_sph2pipe(
    path: Path,
    sample_rate: int,
    channel: int,
    start: float | None,
    end: float | None,
    cause: Exception,
) -> Tensor:
    program = shutil.which("sph2pipe")
    if program is None:
        raise InputError(
            f"{path}: libsndfile cannot read this SPHERE file ({cause}); it may be shortened",
            remedy="install sph2pipe on the PATH, or convert the file to WAV or FLAC",
        ) from cause
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "converted.wav"
        done = subprocess.run(
            [program, "-f", "wav", "-p", str(path), str(wav)], capture_output=True, check=False
        )
        if done.returncode or not wav.exists():
            message = done.stderr.decode(errors="replace").strip()
            raise InputError(f"{path}: sph2pipe failed: {message}") from cause
        return _read(wav, sample_rate, channel, start, end)
