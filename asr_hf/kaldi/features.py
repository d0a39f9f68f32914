"""Features that Kaldi made, used where they lie."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path

from asr_hf.data.ark_entry import ArkEntry
from asr_hf.data.cmvn import CmvnMode
from asr_hf.data.kaldi_dir import read_table, write_table
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_json

FORMAT = "kaldi"


def link_features(
    source: Path, folder: Path, cmvn: str, norm_vars: bool, allow_pipes: bool = False
) -> None:
    """Write a feature folder whose scp files point into Kaldi's archives; nothing is copied.

    Args:
        source: a data directory with feats.scp and, for normalised features, cmvn.scp.
        folder: what it is written to: feats.scp, cmvn.scp and fbank.json.
        cmvn: "speaker" or "utterance", as the statistics in cmvn.scp are; or "none".
        norm_vars: whether variances are normalised too.
        allow_pipes: whether entries may be commands, which run where this program runs.

    Raises:
        InputError: the scp files are missing, point to files that are not there, or hold commands
            that may not be run.
    """
    mode = CmvnMode(cmvn)
    names = ["feats"] if mode is CmvnMode.NONE else ["feats", "cmvn"]
    archives: set[str] = set()
    for name in names:
        path = source / f"{name}.scp"
        if not path.is_file():
            raise InputError(
                f"{path}: there is no such file",
                expected="features and CMVN statistics (features.cmvn=" + str(mode) + ")",
                remedy="Kaldi's compute_cmvn_stats.sh makes them; features.cmvn=none needs none",
            )
        find = cache(partial(_absolute, path))
        table = {
            key: _resolved(path, key, entry, find, allow_pipes)
            for key, entry in read_table(path).items()
        }
        write_table(folder / f"{name}.scp", table.items())
        entries = (ArkEntry.parse(path, key, e, allow_pipes) for key, e in table.items())
        archives |= {entry.archive for entry in entries if not entry.is_command}
    about = {
        "format": FORMAT,
        "source": str(source),
        "cmvn": str(mode),
        "norm_vars": norm_vars,
        "archives": file_stamps(Path(archive) for archive in sorted(archives)),
    }
    write_json(folder / "fbank.json", about)


def file_stamps(paths: Iterable[Path]) -> list[list[str | int]]:
    """Name, size and time of change of those files that are there: what tells them apart."""
    stats = [(path, path.stat()) for path in paths if path.is_file()]
    return [[str(path), stat.st_size, stat.st_mtime_ns] for path, stat in stats]


def _resolved(
    scp: Path, key: str, entry: str, find: Callable[[str], str], allow_pipes: bool
) -> str:
    """An entry with its archive's absolute path; a command as it is."""
    known = ArkEntry.parse(scp, key, entry, allow_pipes)
    if known.is_command:
        return entry
    return find(known.archive) + entry[len(known.archive) :]


def _absolute(scp: Path, archive: str) -> str:
    """Where an archive is.

    Kaldi's recipes write paths relative to the folder that they are run in, which is one above
    the data directory, or further up.
    """
    for base in (Path(), *scp.resolve().parents):
        # Unlike Path's, this one takes names that no file can have.
        if os.path.isfile(base / archive):
            return os.path.abspath(base / archive)
    raise InputError(
        f"{scp}: there is no archive {archive}",
        expected=f"a path from here, or from a folder above {scp.parent}",
        remedy="run the command in the folder of the Kaldi experiment",
    )
