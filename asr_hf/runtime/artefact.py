"""Artefacts: folders that know what they are, what they were made from, and whether they are whole.

See docs/artefacts.md.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import not_written, read_json, replaced_folder, sweep, write_json
from asr_hf.runtime.provenance import (
    Artefact,
    Source,
    Wanted,
    differences,
    digest,
    indented,
    measure,
    sources_from_json,
)
from asr_hf.runtime.skips import SkipList

log = logging.getLogger(__name__)

RECORD = "artefact.json"
FORMAT = "asr-hf-artefact-1"
# Readers compare the content of files up to this size; larger ones have checksums of their own.
SMALL = 16 << 20
_OWN, _UNFINISHED = "checksum", "unfinished"

# Writes an artefact's files into a folder; returns what its record says beside.
Maker = Callable[[Path], Mapping[str, Any]]


def find(folder: Path) -> Artefact | None:
    """Return the artefact in `folder`; None where there is no record, or a damaged one."""
    if not (folder / RECORD).is_file():
        return None
    try:
        return read(folder)
    except InputError as error:
        log.warning("%s", error.problem)
        return None


def read(folder: Path, remedy: str = "") -> Artefact:
    """Return the artefact in `folder`.

    Args:
        folder: where it is.
        remedy: the command that makes it.

    Raises:
        InputError: there is no record, or it is damaged.
    """
    path = folder / RECORD
    try:
        record = _load(path)
        if _UNFINISHED in record:
            raise InputError(
                f"{folder} ({record[_UNFINISHED]}): not finished",
                expected="what a command that ran to its end leaves",
                remedy=remedy or "run the command again that makes it",
            )
        content = {name: (int(size), str(sha)) for name, (size, sha) in record["content"].items()}
        if not all(map(_inside, content)):
            raise ValueError("it names files outside its folder")
        return Artefact(
            folder,
            str(record["kind"]),
            dict(record["settings"]),
            sources_from_json(record["sources"], folder),
            content,
            dict(record["about"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: damaged: {error}", remedy=remedy) from error


def fitting(folder: Path, wanted: Wanted) -> Artefact | None:
    """Return the artefact in `folder` if it was made from what is wanted; else the log says why not."""
    known = find(folder)
    if known is None:
        return None
    if known.kind != wanted.kind:
        log.info("%s: holds another thing (%s), made again", folder, known.kind)
        return None
    if changed := differences(known, wanted):
        log.info("%s: made again, because of other\n%s", folder, indented(changed))
        return None
    return known


def current(folder: Path, wanted: Wanted) -> Artefact | None:
    """Return the same if all its bytes are as they were written, too."""
    known = fitting(folder, wanted)
    if known is not None and (damaged := known.damage()):
        log.warning("%s: made again, because it is damaged:\n%s", folder, indented(damaged))
        return None
    return known


def current_or_make(
    folder: Path,
    wanted: Wanted,
    make: Maker,
    *,
    whole: bool = False,
    inside: Sequence[str] = (),
    skips: tuple[SkipList, int] | None = None,
) -> Artefact:
    """Return the artefact in `folder`, made unless it is there, whole and from what is wanted.

    See `current` and `make_anew`.

    Args:
        skips: what was `skipped` of so many utterances when it was made is checked against today's
            limit.

    Raises:
        InputError: too much was skipped.
    """
    if (known := current(folder, wanted)) is not None:
        log.info("%s: there already (%s)", folder, wanted.kind)
        if skips is not None:
            skips[0].reasons |= known.about["skipped"]
            skips[0].check(skips[1])
        return known
    return make_anew(folder, wanted, make, whole=whole, inside=inside)


def make_anew(
    folder: Path, wanted: Wanted, make: Maker, *, whole: bool = False, inside: Sequence[str] = ()
) -> Artefact:
    """Make an artefact and its record.

    Args:
        folder: where it is.
        wanted: what it is made from.
        make: writes its files into the folder that it is given; returns what `about` says.
        whole: make it beside the old one, which it replaces when it is whole. Otherwise the record
            says meanwhile that it is unfinished, and artefacts inside the folder stay.
        inside: folders inside it whose files belong to it too, where it is not made whole.

    Raises:
        RunError: the folder cannot be written to.
    """
    if whole:
        with replaced_folder(folder) as part:
            about = make(part)
            _record(part, wanted, about, _files_below(part))
    else:
        _begin(folder, wanted.kind)
        about = make(folder)
        own = [*_files(folder), *(p for name in inside for p in _files_below(folder / name))]
        _record(folder, wanted, about, own)
    return read(folder)


def moved_on(known: Artefact) -> list[str]:
    """Return sources that are not any more what it was made from, each with what differs.

    A source whose folder is gone, or holds no record, is not looked at.
    """
    return _moved_on(known.sources)


def _moved_on(sources: Mapping[str, Source]) -> list[str]:
    found: list[str] = []
    for name, source in sources.items():
        now = find(Path(source.folder)) if source.folder else None
        if now is not None and now.digest != source.digest:
            changed = differences(source, now.source)
            found += changed or [f"{name}: {source.folder} was made anew, with other content"]
        else:
            found += _moved_on(source.sources)
    return list(dict.fromkeys(found))


def _load(path: Path) -> dict[str, Any]:
    """Return a record whose checksum is right."""
    record = read_json(path)
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(f"not of format {FORMAT}")
    if record.pop(_OWN, None) != digest(record):
        raise ValueError("its checksum is wrong")
    return record


def _inside(name: str) -> bool:
    return not os.path.isabs(name) and ".." not in Path(name).parts


def _record(folder: Path, wanted: Wanted, about: Mapping[str, Any], files: Iterable[Path]) -> None:
    """Write the record of what was made in `folder`."""
    content = {str(path.relative_to(folder)): measure(path) for path in files}
    record = {
        "format": FORMAT,
        "kind": wanted.kind,
        "settings": dict(wanted.settings),
        "sources": {name: source.to_json(folder) for name, source in wanted.sources.items()},
        "content": content,
        "about": dict(about),
    }
    # As it will be read, with keys that are text.
    record = json.loads(json.dumps(record))
    write_json(folder / RECORD, record | {_OWN: digest(record)})


def _files(folder: Path) -> list[Path]:
    """Return the files in a folder but for hidden ones and the record, sorted."""
    return [
        path
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.name.startswith(".") and path.name != RECORD
    ]


def _files_below(folder: Path) -> list[Path]:
    """Return the same of a folder and of all folders in it that are no artefacts themselves."""
    if not folder.is_dir():
        return []
    below = [p for p in sorted(folder.iterdir()) if p.is_dir() and not (p / RECORD).exists()]
    return [*_files(folder), *(file for path in below for file in _files_below(path))]


def _begin(folder: Path, kind: str) -> None:
    """Say in the record that the artefact is being made; remove the files of the one before.

    What killed makers left in the folder and those below it goes too.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for root, _, _ in os.walk(folder):
            sweep(root)
        names = _names_before(folder)
        record = {"format": FORMAT, _UNFINISHED: kind, "content": names}
        write_json(folder / RECORD, record | {_OWN: digest(record)})
        for name in names:
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        raise not_written(folder, error) from error


def _names_before(folder: Path) -> list[str]:
    """Return the files of the artefact that was here, or was begun here."""
    try:
        content = _load(folder / RECORD)["content"]
    except (InputError, ValueError, KeyError):
        return []
    return [name for name in map(str, content) if _inside(name)]
