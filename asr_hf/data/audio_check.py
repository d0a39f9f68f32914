"""Checks that a data directory's audio is there and whole, without decoding all of it."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from asr_hf.data.audio import MAX_OVERSHOOT
from asr_hf.data.audio_file import AudioFile, Unreadable
from asr_hf.data.containers.container import FETCH, Container
from asr_hf.data.fields import parse_channel, parse_segment, words_of
from asr_hf.data.kaldi_dir import existing_wav
from asr_hf.data.tables import Problem, Table
from asr_hf.runtime.progress import progress


@dataclass(frozen=True)
class AudioSize:
    """The size of an audio file.

    Args:
        seconds: duration (seconds).
        channels: number of channels.
        sample_rate: sample rate (Hz).
    """

    seconds: float
    channels: int
    sample_rate: int


def audio_problems(tables: dict[str, Table]) -> list[tuple[str | None, Problem]]:
    """Find utterances whose audio is missing, unreadable, truncated, empty or too short.

    Args:
        tables: files of the data directory, by name.

    Returns:
        Pairs (utterance, problem). The utterance is None for a recording that is a command: it is
        not run here, so its audio may be good.
    """
    wavs, segments = tables["wav.scp"].rows, tables.get("segments")
    channels = tables["reco2file_and_channel"].rows if "reco2file_and_channel" in tables else {}
    problems: list[tuple[str | None, Problem]] = []
    sizes: dict[str, AudioSize | str] = {}
    for utterance in progress(tables["utt2spk"].rows, desc="checking audio", unit="utt"):
        line = utterance if segments is None else segments.rows.get(utterance, "")
        if not line:
            continue
        recording = words_of(line)[0]
        wav = existing_wav(wavs.get(recording, ""))
        if wav.endswith("|"):
            if recording not in sizes:
                sizes[recording] = ""
                text = f"{recording}: a command, which is not run here: {wav!r}"
                remedy = "name an audio file; features.allow_pipes=true runs it"
                problems.append((None, Problem(str(tables["wav.scp"].path), text, remedy)))
            continue
        if recording not in sizes:
            sizes[recording] = measure(wav) if wav else f"recording {recording} is missing"
        size = sizes[recording]
        if isinstance(size, str):
            fault = size
        else:
            fault = _channel_fault(channels.get(recording, ""), size)
            if segments is not None and not fault:
                fault = _segment_fault(line, size)
        if fault:
            where = wav or str(tables["wav.scp"].path)
            problem = Problem(where, f"{utterance}: {fault}", "mend it, or --fix drops it")
            problems.append((utterance, problem))
    return problems


def measure(wav: str) -> AudioSize | str:
    """Return the size of an audio file, or what is wrong with it.

    The size is the one that reading the file would give. Nothing is decoded, except the last sample
    in containers that do not show otherwise that it is there.
    """
    path = Path(wav)
    # os.path.isfile answers for names that no file can have; Path.is_file raises an error.
    if not os.path.isfile(path):
        return "no such audio file"
    opened = False
    try:
        file = AudioFile.of(path)
        if file.container.fault:
            remedy = file.container.remedy
            return file.container.fault + (f": {remedy}" if remedy != FETCH else "")
        if file.container.shortened:
            return _measure_shortened(file.container)
        with file.opened() as sound:
            opened, frames = True, sound.frames
            if frames <= 0:
                return "holds no audio"
            if file.container.unproven:
                sound.seek(frames - 1)
                if not len(sound.read(1)):
                    return f"truncated: no sample {frames}, which its header declares"
            rate = int(sound.file.samplerate)
            return AudioSize(frames / rate, int(sound.file.channels), rate)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except Unreadable as error:
        return f"{'truncated or damaged' if opened else 'not readable as audio'}: {error}"


def _measure_shortened(container: Container) -> AudioSize | str:
    """Return the size that a shortened SPHERE file declares, if sph2pipe is there to read it."""
    if shutil.which("sph2pipe") is None:
        return "a shortened SPHERE file, and there is no sph2pipe on the PATH"
    frames, rate = container.frames or 0, container.sample_rate
    if frames <= 0 or rate <= 0:
        return "its header declares no samples or no sample rate"
    return AudioSize(frames / rate, container.channels, rate)


def _channel_fault(line: str, size: AudioSize) -> str:
    channel = parse_channel(line)
    if channel is None or channel < size.channels:
        return ""
    return f"channel {channel + 1} of {size.channels} (reco2file_and_channel)"


def _segment_fault(line: str, size: AudioSize) -> str:
    segment = parse_segment(line)
    if segment is None:
        return ""  # a malformed line is a problem of segments, not of the audio
    _, start, end = segment
    if start >= size.seconds or (end or 0.0) > size.seconds + MAX_OVERSHOOT:
        return (
            f"segment from {start:g} s to {end or size.seconds:g} s of {size.seconds:.2f} s "
            "of audio"
        )
    return ""
