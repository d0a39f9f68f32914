"""Checks a data directory and lists every problem, with its line and its remedy."""

from __future__ import annotations

from pathlib import Path

from asr_hf.data.audio_check import audio_problems
from asr_hf.data.fields import words_of
from asr_hf.data.fix import fix_dir
from asr_hf.data.tables import PER_UTTERANCE, REQUIRED, Problem, Table, read_tables
from asr_hf.runtime.errors import InputError


def validate(path: Path | str, fix: bool = False) -> list[Problem]:
    """Check a data directory.

    Args:
        path: the directory.
        fix: whether the directory is mended first; see `asr_hf.data.fix.fix_dir`.

    Returns:
        Every problem, or those that are left after mending.

    Raises:
        InputError: there is no such directory, or fixing would leave nothing.
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"{path}: no such directory", expected="a Kaldi data directory")
    if fix:
        fix_dir(path)
    tables = read_tables(path)
    problems = [
        Problem(str(path / name), "missing", "a data directory needs this file")
        for name in REQUIRED
        if name not in tables
    ]
    problems += [p for table in tables.values() for p in table.problems]
    if all(name in tables for name in REQUIRED):
        problems += _cross_check(path, tables) + _channel_check(path, tables)
        problems += [p for _, p in audio_problems(tables)]
    return problems


def _cross_check(path: Path, tables: dict[str, Table]) -> list[Problem]:
    """Return the problems of files that disagree on utterances or speakers."""
    problems = []
    utterances = tables["utt2spk"].rows
    for name in PER_UTTERANCE:
        if name not in tables:
            continue
        for missing in sorted(utterances.keys() - tables[name].rows.keys()):
            problems.append(
                Problem(str(path / name), f"{missing}: missing", "add it, or --fix drops it")
            )
        for extra in sorted(tables[name].rows.keys() - utterances.keys()):
            problems.append(
                Problem(
                    str(path / name),
                    f"{extra}: no speaker in utt2spk",
                    "add a speaker, or --fix drops it",
                )
            )
    listed = [
        (utterance, speaker)
        for speaker, line in (tables["spk2utt"].rows if "spk2utt" in tables else {}).items()
        for utterance in words_of(line)
    ]
    if sorted(listed) != sorted(utterances.items()):
        problems.append(
            Problem(str(path / "spk2utt"), "does not agree with utt2spk", "--fix rebuilds it")
        )
    return problems


def _channel_check(path: Path, tables: dict[str, Table]) -> list[Problem]:
    """Return the problems of a reco2file_and_channel with other recordings than wav.scp."""
    if "reco2file_and_channel" not in tables:
        return []
    where = str(path / "reco2file_and_channel")
    listed, wavs = tables["reco2file_and_channel"].rows.keys(), tables["wav.scp"].rows.keys()
    return [
        Problem(where, f"recording {name}: missing", "add it, or --fix drops its utterances")
        for name in sorted(wavs - listed)
    ] + [
        Problem(where, f"recording {name}: not in wav.scp", "remove it, or --fix does")
        for name in sorted(listed - wavs)
    ]
