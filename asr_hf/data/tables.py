"""Reads the files of a data directory as they are, with the problems of their lines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from asr_hf.data.fields import expected_of, other_space
from asr_hf.data.kaldi_dir import table_lines
from asr_hf.runtime.errors import InputError

REQUIRED = ("wav.scp", "utt2spk")
_MEND = "mend the line; --fix drops its utterances"
PER_UTTERANCE = ("text", "segments", "utt2lang")
PER_RECORDING = ("wav.scp", "reco2file_and_channel")
FILES = ("utt2spk", *PER_UTTERANCE, *PER_RECORDING, "spk2utt")


@dataclass(frozen=True)
class Problem:
    """One problem of a data directory.

    Args:
        where: file, with the line if there is one.
        what: utterance or recording, and what is wrong with it.
        remedy: how to mend it.
    """

    where: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what} ({self.remedy})"


@dataclass(frozen=True)
class Table:
    """One file of a data directory.

    Args:
        path: path of the file.
        rows: value of each key, the first one if there are several.
        problems: problems of the lines.
        unusable: keys whose values cannot be used, with the reasons.
        readable: whether the whole file could be read.
    """

    path: Path
    rows: dict[str, str]
    problems: list[Problem]
    unusable: dict[str, str]
    readable: bool = True


def read_tables(path: Path) -> dict[str, Table]:
    """Read the files of a data directory that exist, whatever is wrong with them.

    Args:
        path: the data directory.

    Returns:
        The files, by name.
    """
    return {name: _read(path / name) for name in FILES if (path / name).exists()}


def _read(path: Path) -> Table:
    rows: dict[str, str] = {}
    problems: list[Problem] = []
    unusable: dict[str, str] = {}
    before = b""
    try:
        for number, key, rest in table_lines(path):
            where = f"{path}:{number}"
            if not key:
                problems.append(Problem(where, "an empty line", "remove it, or --fix"))
                continue
            if key in rows:
                if rows[key] != rest:
                    unusable[key] = "twice, not the same"
                how = "with another value" if rows[key] != rest else "the same"
                remedy = "keep one; --fix drops utterances that contradict themselves"
                problems.append(Problem(where, f"{key}: appears twice, {how}", remedy))
            elif key.encode() < before:
                problems.append(Problem(where, f"{key}: not sorted (C locale)", "--fix sorts"))
            if not rest:
                problems.append(Problem(where, f"{key}: no value", "complete or remove the line"))
            elif expected := expected_of(path.name, rest):
                unusable[key] = f"{rest!r}, expected {expected}"
                problems.append(Problem(where, f"{key}: {unusable[key]}", _MEND))
            elif path.name == "text" and (space := other_space(rest)):
                problems.append(Problem(where, f"{key}: {space}", "a blank instead; --fix"))
            before = max(before, key.encode())
            rows.setdefault(key, rest)
    except InputError as error:
        problems.append(Problem(str(path), error.problem, error.remedy or "mend the file"))
        return Table(path, rows, problems, unusable, readable=False)
    return Table(path, rows, problems, unusable)
