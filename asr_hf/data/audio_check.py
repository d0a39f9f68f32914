"""Whether a data directory's audio is there and whole, without decoding all of it."""

from __future__ import annotations

from pathlib import Path

import soundfile

from asr_hf.data.audio import MAX_OVERSHOOT
from asr_hf.data.audio_header import read_header
from asr_hf.data.kaldi_dir import SEGMENT, parse_segment, words_of
from asr_hf.data.tables import Problem, Table
from asr_hf.runtime.progress import progress


def audio_problems(tables: dict[str, Table]) -> list[tuple[str | None, Problem]]:
    """Utterances whose audio is missing, unreadable, truncated, empty or too short.

    Returns:
        (utterance, problem); the utterance is None where a recording is a command, which is not
        run and so may well be good.
    """
    wavs, segments = tables["wav.scp"].rows, tables.get("segments")
    problems: list[tuple[str | None, Problem]] = []
    seconds: dict[str, float | str] = {}
    for utterance in progress(tables["utt2spk"].rows, desc="checking audio", unit="utt"):
        line = utterance if segments is None else segments.rows.get(utterance, "")
        if not line:
            continue
        recording = words_of(line)[0]
        wav = wavs.get(recording, "")
        if wav.endswith("|"):
            if recording not in seconds:
                seconds[recording] = 0.0
                what = f"{recording}: a command, which is not run here: {wav!r}"
                remedy = "name an audio file; features.allow_pipes=true runs it"
                problems.append((None, Problem(str(tables["wav.scp"].path), what, remedy)))
            continue
        if recording not in seconds:
            seconds[recording] = duration(wav) if wav else f"recording {recording} is missing"
        found = seconds[recording]
        fault = found if isinstance(found, str) else ""
        if segments is not None and isinstance(found, float):
            fault = _segment_fault(line, found)
        if fault:
            where = wav or str(tables["wav.scp"].path)
            problem = Problem(where, f"{utterance}: {fault}", "mend it, or --fix drops it")
            problems.append((utterance, problem))
    return problems


def duration(wav: str) -> float | str:
    """Seconds of audio, or what is wrong with the file."""
    path = Path(wav)
    if not path.is_file():
        return "no such audio file"
    if not path.stat().st_size:
        return "empty audio file"
    opened = False
    try:
        header = read_header(path)
        if header.fault:
            return header.fault
        with soundfile.SoundFile(wav) as audio:
            opened = True
            frames: int = audio.frames
            if not frames:
                return "holds no audio"
            audio.seek(frames - 1)
            if not len(audio.read(1)):
                return f"truncated: no sample {frames}, which its header declares"
            return frames / float(audio.samplerate)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    except soundfile.LibsndfileError as error:
        return f"{'truncated or damaged' if opened else 'not readable as audio'}: {error}"


def _segment_fault(line: str, seconds: float) -> str:
    segment = parse_segment(line)
    if segment is None:
        return f"segment {line!r}, expected {SEGMENT}"
    _, start, end = segment
    if start >= seconds or (end or 0.0) > seconds + MAX_OVERSHOOT:
        return f"segment from {start:g} s to {end or seconds:g} s of {seconds:.2f} s of audio"
    return ""
