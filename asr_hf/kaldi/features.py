"""Features that Kaldi made, used where they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from asr_hf.data.ark import ArkReader
from asr_hf.data.ark_entry import ArkEntry
from asr_hf.data.cmvn import CmvnMode, CmvnOptions
from asr_hf.data.kaldi_dir import read_table, write_table
from asr_hf.data.online_cmvn import OnlineCmvn, OnlineCmvnOptions
from asr_hf.kaldi.archives import ArchiveFinder
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_json

FORMAT = "kaldi"
_WITH_STATISTICS = (CmvnMode.SPEAKER, CmvnMode.UTTERANCE)


def link_features(
    source: Path,
    folders: Sequence[Path],
    mode: CmvnMode,
    options: CmvnOptions,
    allow_pipes: bool = False,
    transformed: bool = False,
    online: OnlineCmvn | None = None,
) -> None:
    """Write feature folders whose scp files point into Kaldi's archives; nothing is copied.

    Args:
        source: a data directory with feats.scp and, for normalised features, cmvn.scp.
        folders: folders to write feats.scp, cmvn.scp and fbank.json to, one a set.
        mode: what the statistics in cmvn.scp are pooled over, or that none are applied.
        options: options of the normalisation.
        allow_pipes: whether entries may be commands, which run where this program runs.
        transformed: whether transforms are applied when they are packed, for the record.
        online: online CMVN; None with another mode.

    Raises:
        InputError: the scp files are missing, point to files that are not there, or hold commands
            that may not be run.
    """
    names = ["feats", "cmvn"] if mode in _WITH_STATISTICS else ["feats"]
    archives: set[str] = set()
    for name in names:
        for path in _link(source, name, folders, allow_pipes)[:1]:
            table = read_table(path).items()
            entries = (ArkEntry.parse(path, key, e, allow_pipes) for key, e in table)
            archives |= {entry.archive for entry in entries if not entry.is_command}
    about = {
        "format": FORMAT,
        "source": str(source),
        "cmvn": str(mode),
        **asdict(options),
        "transformed": transformed,
        **({} if online is None else online.to_dict()),
        "archives": file_stamps(Path(archive) for archive in sorted(archives)),
    }
    for folder in folders:
        write_json(folder / "fbank.json", about)


def online_cmvn(
    source: Path, folder: Path, options: OnlineCmvnOptions, allow_pipes: bool = False
) -> OnlineCmvn:
    """Return online CMVN with the statistics of a training set of Kaldi's.

    As Kaldi's scripts do, the statistics in cmvn.scp are added up.

    Args:
        source: the data directory of the training set.
        folder: feature folder of the training set.
        options: options of the normalisation.
        allow_pipes: whether entries may be commands, which run where this program runs.

    Raises:
        InputError: the statistics are missing or damaged, or earlier utterances of speakers are
            asked for.
    """
    if options.speaker_frames:
        raise InputError(
            f"features.online_cmvn.speaker_frames={options.speaker_frames}: of the features of "
            f"{source} it is not known which utterance of a speaker came first",
            expected="features.online_cmvn.speaker_frames=0",
            remedy="make the features with asr-hf prepare and asr-hf features",
        )
    stats = ArkReader(_link(source, "cmvn", [folder], allow_pipes)[0], allow_pipes)
    total: Any = sum(stats[key] for key in stats)
    return OnlineCmvn(options, np.asarray(total, np.float64))


def _link(source: Path, name: str, folders: Sequence[Path], allow_pipes: bool) -> list[Path]:
    """Write <name>.scp of a data directory into folders, with absolute paths of its archives.

    Returns:
        The files that were written.

    Raises:
        InputError: there is no such file, or it names archives that are not there.
    """
    path = source / f"{name}.scp"
    if not path.is_file():
        raise InputError(
            f"{path}: there is no such file",
            expected="features, and CMVN statistics unless features.cmvn=none",
            remedy="Kaldi's compute_cmvn_stats.sh makes them; features.cmvn=none needs none",
        )
    finder = ArchiveFinder(path)
    table = {
        key: _resolved(finder, key, entry, allow_pipes) for key, entry in read_table(path).items()
    }
    finder.warn_of_moved()
    for folder in folders:
        write_table(folder / f"{name}.scp", table.items())
    return [folder / f"{name}.scp" for folder in folders]


def processing(about: Mapping[str, Any]) -> dict[str, Any]:
    """Select from fbank.json how features were processed: networks must see the same again."""
    defaults: dict[str, Any] = {"cmvn": None, **asdict(CmvnOptions()), "transformed": False}
    defaults |= {"online_cmvn": None, "global_stats": None}
    settings = {key: about.get(key, default) for key, default in defaults.items()}
    return settings | {"skip_dims": list(settings["skip_dims"])}


def file_stamps(paths: Iterable[Path]) -> list[list[str | int]]:
    """List name, size and time of change of those files that exist, to tell versions apart."""
    stats = [(path, path.stat()) for path in paths if path.is_file()]
    return [[str(path), stat.st_size, stat.st_mtime_ns] for path, stat in stats]


def _resolved(finder: ArchiveFinder, key: str, entry: str, allow_pipes: bool) -> str:
    """Give an entry its archive's absolute path; a command stays as it is."""
    parsed = ArkEntry.parse(finder.scp, key, entry, allow_pipes)
    if parsed.is_command:
        return entry
    return finder.find(parsed.archive) + entry[len(parsed.archive) :]
