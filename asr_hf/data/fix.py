"""Mends a data directory, as far as its files allow."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

from asr_hf.data.audio_check import audio_problems
from asr_hf.data.fields import words_of
from asr_hf.data.kaldi_dir import write_table
from asr_hf.data.tables import PER_RECORDING, PER_UTTERANCE, REQUIRED, Table, read_tables
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import replaced_folder

log = logging.getLogger(__name__)


def fix_dir(path: Path) -> dict[str, str]:
    """Sort the files, drop repeated lines and unusable utterances, and rebuild spk2utt.

    In transcripts, white space of any kind becomes a blank. An utterance is dropped if a file lacks
    it, holds it malformed or with two values, or if its audio cannot be used. The former files are
    kept in <path>/.backup (.backup.2 the next time).

    Args:
        path: the data directory.

    Returns:
        The reason for each dropped utterance; each is logged as well.

    Raises:
        InputError: a required file is missing, a file is not readable, or no utterance would be
            left.
        RunError: the directory cannot be written to.
    """
    tables = read_tables(path)
    for name in REQUIRED:
        if name not in tables:
            raise InputError(f"{path / name}: missing", remedy="a data directory needs this file")
    for table in tables.values():
        if not table.readable:
            raise InputError(table.problems[-1].what, remedy=table.problems[-1].remedy)
    recordings = _unusable_recordings(tables)
    dropped = _unusable(tables, recordings)
    kept = {u: s for u, s in tables["utt2spk"].rows.items() if u not in dropped}
    if not kept:
        listed = "\n".join(f"    {u}: {why}" for u, why in sorted(dropped.items())[:5])
        raise InputError(
            f"{path}: fixing would drop every utterance:\n{listed}",
            remedy="mend what they have in common",
        )
    mended = {name: _kept_rows(table, set(kept), recordings) for name, table in tables.items()}
    speakers: dict[str, list[str]] = {}
    for utterance in sorted(kept, key=str.encode):
        speakers.setdefault(kept[utterance], []).append(utterance)
    mended["spk2utt"] = {speaker: " ".join(us) for speaker, us in speakers.items()}
    changed = {
        name: rows
        for name, rows in mended.items()
        if name not in tables or tables[name].problems or tables[name].rows != rows
    }
    if changed:
        _back_up(path, list(tables))
    for name, rows in changed.items():
        write_table(path / name, rows.items())
    for utterance, reason in sorted(dropped.items()):
        log.warning("%s: dropped %s: %s", path, utterance, reason)
    return dropped


def _unusable(tables: dict[str, Table], recordings: dict[str, str]) -> dict[str, str]:
    """Return the utterances to drop, each with the reason."""
    utterances = tables["utt2spk"].rows
    reasons = {u: p.what.split(": ", 1)[-1] for u, p in audio_problems(tables) if u is not None}
    segments = tables["segments"].rows if "segments" in tables else None
    for utterance, speaker in utterances.items():
        line = utterance if segments is None else segments.get(utterance, "")
        for recording in words_of(line)[:1]:
            if recording in recordings:
                reasons[utterance] = recordings[recording]
        if not speaker:
            reasons[utterance] = "utt2spk: no speaker"
    for name in ("utt2spk", *PER_UTTERANCE):
        if name in tables:
            table = tables[name]
            reasons |= {u: f"{name}: {why}" for u, why in table.unusable.items()}
            reasons |= {u: f"{name}: missing" for u in utterances if not table.rows.get(u)}
            reasons |= {u: "utt2spk: no speaker" for u in table.rows if u not in utterances}
    return reasons


def _unusable_recordings(tables: dict[str, Table]) -> dict[str, str]:
    """Return recordings that a file lacks, or holds malformed or with two values, and why."""
    present = {name: tables[name] for name in PER_RECORDING if name in tables}
    reasons = {}
    for recording in {key for table in present.values() for key in table.rows}:
        for name, table in present.items():
            why = table.unusable.get(recording, "")
            if why or not table.rows.get(recording):
                reasons[recording] = f"{name}: recording {recording}: {why or 'missing'}"
    return reasons


def _kept_rows(table: Table, kept: set[str], unusable_recordings: dict[str, str]) -> dict[str, str]:
    """Return the rows of a table that stay."""
    if table.path.name == "text":
        # Here Python's `split` is right: white space of every kind becomes one blank.
        return {key: " ".join(value.split()) for key, value in table.rows.items() if key in kept}
    if table.path.name in ("utt2spk", *PER_UTTERANCE):
        return {key: value for key, value in table.rows.items() if key in kept}
    return {k: v for k, v in table.rows.items() if k not in unusable_recordings}


def _back_up(path: Path, names: list[str]) -> None:
    number, folder = 1, path / ".backup"
    while folder.exists():
        number += 1
        folder = path / f".backup.{number}"
    with replaced_folder(folder) as part:
        for name in names:
            shutil.copy2(path / name, part / name)
