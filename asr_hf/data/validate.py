"""Checking a data directory: every offender, with its line and its remedy."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import soundfile

from asr_hf.data.kaldi_dir import DataDir, table_lines, write_table
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.progress import progress

_REQUIRED = ("wav.scp", "utt2spk")
_PER_UTTERANCE = ("text", "segments", "utt2lang", "spk2utt", "utt2spk")


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a data directory.

    Args:
        where: file, and line where there is one.
        what: the utterance or recording and what is wrong with it.
        remedy: how to mend it.
    """

    where: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what} ({self.remedy})"


@dataclass(frozen=True)
class _Table:
    path: Path
    rows: dict[str, str]
    problems: list[Problem]


def validate(path: Path | str, fix: bool = False) -> list[Problem]:
    """Check a data directory.

    Args:
        path: the directory.
        fix: sort files, drop duplicate lines and utterances that are incomplete or whose audio
            cannot be used, rebuild spk2utt; what was there is kept in <path>/.backup.

    Returns:
        Every problem found (after fixing, when `fix` is set).
    """
    path = Path(path)
    if fix:
        _fix(path)
    tables = {
        file.name: _read(file)
        for file in sorted(path.glob("*"))
        if file.name in (*_REQUIRED, *_PER_UTTERANCE, "reco2file_and_channel")
    }
    problems = [
        Problem(str(path / name), "missing", "a data directory needs this file")
        for name in _REQUIRED
        if name not in tables
    ]
    problems += [p for table in tables.values() for p in table.problems]
    if not problems or all(name in tables for name in _REQUIRED):
        problems += _cross_check(path, tables)
        problems += [p for _, p in _audio_problems(tables)]
    return problems


def _read(path: Path) -> _Table:
    rows: dict[str, str] = {}
    problems: list[Problem] = []
    before = b""
    try:
        for number, key, rest in table_lines(path):
            where = f"{path}:{number}"
            if not key:
                problems.append(Problem(where, "an empty line", "remove it"))
                continue
            if key in rows:
                problems.append(Problem(where, f"{key}: appears twice", "keep one, or --fix"))
            elif key.encode() < before:
                problems.append(Problem(where, f"{key}: not sorted (C locale)", "--fix sorts"))
            if not rest:
                problems.append(Problem(where, f"{key}: no value", "complete or remove the line"))
            before = max(before, key.encode())
            rows.setdefault(key, rest)
    except InputError as error:
        problems.append(Problem(str(path), error.problem, error.remedy))
    return _Table(path, rows, problems)


def _cross_check(path: Path, tables: dict[str, _Table]) -> list[Problem]:
    """Whether the files speak of the same utterances, speakers and recordings."""
    problems = []
    utterances = tables["utt2spk"].rows
    for name in ("text", "segments", "utt2lang"):
        if name not in tables:
            continue
        for missing in sorted(utterances.keys() - tables[name].rows.keys()):
            problems.append(
                Problem(str(path / name), f"{missing}: missing", "add it, or --fix drops it")
            )
        for extra in sorted(tables[name].rows.keys() - utterances.keys()):
            problems.append(
                Problem(str(path / name), f"{extra}: not in utt2spk", "add a speaker, or --fix")
            )
    listed = {
        (utterance, speaker)
        for speaker, line in (tables["spk2utt"].rows if "spk2utt" in tables else {}).items()
        for utterance in line.split()
    }
    if listed != set(utterances.items()):
        problems.append(
            Problem(str(path / "spk2utt"), "does not agree with utt2spk", "--fix rebuilds it")
        )
    return problems


def _audio_problems(tables: dict[str, _Table]) -> list[tuple[str, Problem]]:
    """(utterance, problem) for audio that is missing, unreadable, empty or too short."""
    wavs, problems = tables["wav.scp"].rows, []
    segments = tables["segments"].rows if "segments" in tables else None
    seconds: dict[str, float | str] = {}
    for utterance in progress(tables["utt2spk"].rows, desc="checking audio", unit="utt"):
        line = segments.get(utterance, "").split() if segments is not None else [utterance]
        if not line:
            continue
        recording = line[0]
        if recording not in wavs:
            where = str(tables["wav.scp"].path)
            what = f"{utterance}: recording {recording} is missing"
            problems.append((utterance, Problem(where, what, "add it, or --fix drops it")))
            continue
        if recording not in seconds:
            seconds[recording] = _duration(wavs[recording])
        found = seconds[recording]
        fault = found if isinstance(found, str) else _segment_fault(line, found)
        if fault:
            problem = Problem(
                wavs[recording], f"{utterance}: {fault}", "mend it, or --fix drops it"
            )
            problems.append((utterance, problem))
    return problems


def _duration(wav: str) -> float | str:
    """Seconds of audio, or what is wrong with the file."""
    if wav.endswith("|"):
        return "a command, which is not run here"
    if not Path(wav).is_file():
        return "no such audio file"
    try:
        with soundfile.SoundFile(wav) as audio:
            frames = audio.seek(0, soundfile.SEEK_END) if audio.seekable() else audio.frames
            if not frames:
                return "holds no audio"
            audio.seek(frames - 1)
            if not len(audio.read(1)):
                return "truncated"
            return float(frames) / float(audio.samplerate)
    except soundfile.LibsndfileError as error:
        return f"not readable as audio: {error}"


def _segment_fault(line: list[str], seconds: float) -> str:
    if len(line) == 1:
        return ""
    try:
        start, end = float(line[1]), float(line[2])
    except (IndexError, ValueError):
        return f"segment {' '.join(line)!r}, expected recording, start, end"
    if not 0 <= start < end:
        return f"segment from {start} s to {end} s"
    return f"ends at {end} s of {seconds:.2f} s of audio" if end > seconds + 0.1 else ""


def _fix(path: Path) -> None:
    """Keep what is complete, sort it, rebuild spk2utt."""
    tables = {f: _read(path / f) for f in _FIXABLE if (path / f).exists()}
    if not all(name in tables for name in _REQUIRED):
        return
    backup = path / ".backup"
    backup.mkdir(exist_ok=True)
    for name in tables:
        shutil.copy2(path / name, backup / name)
    unusable = {utterance for utterance, _ in _audio_problems(tables)}
    kept = {u for u, speaker in tables["utt2spk"].rows.items() if speaker and u not in unusable}
    for name in ("text", "segments", "utt2lang"):
        if name in tables:
            kept &= {key for key, value in tables[name].rows.items() if value}
    for name in ("utt2spk", "text", "segments", "utt2lang"):
        if name in tables:
            rows = ((k, v) for k, v in tables[name].rows.items() if k in kept)
            write_table(path / name, rows)
    write_table(path / "wav.scp", tables["wav.scp"].rows.items())
    DataDir.read(path).write(path)


_FIXABLE = ("wav.scp", "utt2spk", "text", "segments", "utt2lang", "reco2file_and_channel")
