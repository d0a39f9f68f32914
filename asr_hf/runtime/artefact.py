"""Artefacts: folders whose record says what they are, what they were made from and what they hold.

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
from asr_hf.runtime.files import (
    read_json,
    replaced_folder,
    reporting_unwritable,
    sweep,
    write_json,
)
from asr_hf.runtime.provenance import (
    Artefact,
    ArtefactSpec,
    Source,
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
# Readers compare the content of files up to this size (bytes); larger files have checksums of
# their own.
MAX_COMPARED_BYTES = 16 << 20
_CHECKSUM, _UNFINISHED = "checksum", "unfinished"

# Writes an artefact's files into a folder; returns what the record's "about" holds.
Maker = Callable[[Path], Mapping[str, Any]]


def find(folder: Path) -> Artefact | None:
    """Return the artefact in `folder`; None where the record is missing or damaged."""
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
        folder: folder of the artefact.
        remedy: command that makes the artefact, for the message.

    Raises:
        InputError: the record is missing or damaged, or the artefact is not finished.
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
        return _parsed(record, folder)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(f"{path}: damaged: {error}", remedy=remedy) from error


def _parsed(record: dict[str, Any], folder: Path) -> Artefact:
    """Return the artefact that a record describes."""
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


def fitting(folder: Path, spec: ArtefactSpec) -> Artefact | None:
    """Return the artefact in `folder` if it was made from `spec`; otherwise log why not."""
    known = find(folder)
    if known is None:
        return None
    if known.kind != spec.kind:
        log.info("%s: holds another thing (%s), made again", folder, known.kind)
        return None
    if changed := differences(known, spec):
        log.info("%s: made again, because of other\n%s", folder, indented(changed))
        return None
    return known


def current(folder: Path, spec: ArtefactSpec) -> Artefact | None:
    """Return the artefact in `folder` if it was made from `spec` and no byte has changed since."""
    known = fitting(folder, spec)
    if known is not None and (damaged := known.damage()):
        log.warning("%s: made again, because it is damaged:\n%s", folder, indented(damaged))
        return None
    return known


def current_or_make(
    folder: Path,
    spec: ArtefactSpec,
    make: Maker,
    *,
    whole: bool = False,
    inside: Sequence[str] = (),
    skips: tuple[SkipList, int] | None = None,
) -> Artefact:
    """Return the artefact in `folder`; make it first unless it is current (see `current`).

    Args:
        folder: folder of the artefact.
        spec: what the artefact is made from.
        make: writes the artefact's files; see `make_anew`.
        whole: whether the folder is replaced as a whole; see `make_anew`.
        inside: folders inside it whose files belong to it; see `make_anew`.
        skips: today's limit of skipped utterances and the number of all utterances; what was
            skipped when a current artefact was made is checked against them.

    Raises:
        InputError: too many utterances were skipped.
    """
    if (known := current(folder, spec)) is not None:
        log.info("%s: there already (%s)", folder, spec.kind)
        if skips is not None:
            skips[0].reasons |= known.about["skipped"]
            skips[0].check(skips[1])
        return known
    return make_anew(folder, spec, make, whole=whole, inside=inside)


def make_anew(
    folder: Path,
    spec: ArtefactSpec,
    make: Maker,
    *,
    whole: bool = False,
    inside: Sequence[str] = (),
) -> Artefact:
    """Make an artefact and its record.

    Args:
        folder: folder of the artefact.
        spec: what the artefact is made from.
        make: writes the artefact's files into the folder that it is given, and returns what the
            record's "about" holds.
        whole: whether the new folder is made beside the old one and replaces it in the end.
            Otherwise the record says meanwhile that the artefact is unfinished, and artefacts
            inside the folder stay.
        inside: folders inside it whose files belong to the artefact as well; only without `whole`.

    Returns:
        The artefact, as its record describes it.

    Raises:
        RunError: the folder cannot be written to.
    """
    if whole:
        with replaced_folder(folder) as part:
            about = make(part)
            _record(part, spec, about, _files_below(part))
    else:
        _begin(folder, spec.kind)
        about = make(folder)
        files = [*_files(folder), *(p for name in inside for p in _files_below(folder / name))]
        _record(folder, spec, about, files)
    return read(folder)


def changed_sources(known: Artefact) -> list[str]:
    """Return in what an artefact's sources have changed since it was made, a line each.

    A source whose folder is gone or holds no record is left out.
    """
    return _changes_of(known.sources)


def _changes_of(sources: Mapping[str, Source]) -> list[str]:
    changes: list[str] = []
    for name, source in sources.items():
        now = find(Path(source.folder)) if source.folder else None
        if now is not None and now.digest != source.digest:
            changed = differences(source, now.source)
            changes += changed or [f"{name}: {source.folder} was made anew, with other content"]
        else:
            changes += _changes_of(source.sources)
    return list(dict.fromkeys(changes))


def _load(path: Path) -> dict[str, Any]:
    """Read a record and check its checksum."""
    record = read_json(path)
    if not isinstance(record, dict) or record.get("format") != FORMAT:
        raise ValueError(f"not of format {FORMAT}")
    if record.pop(_CHECKSUM, None) != digest(record):
        raise ValueError("its checksum is wrong")
    return record


def _inside(name: str) -> bool:
    return not os.path.isabs(name) and ".." not in Path(name).parts


def _record(
    folder: Path, spec: ArtefactSpec, about: Mapping[str, Any], files: Iterable[Path]
) -> None:
    """Write the record of the artefact that was made in `folder`."""
    content = {str(path.relative_to(folder)): measure(path) for path in files}
    record = {
        "format": FORMAT,
        "kind": spec.kind,
        "settings": dict(spec.settings),
        "sources": {name: source.to_json(folder) for name, source in spec.sources.items()},
        "content": content,
        "about": dict(about),
    }
    # As it will be read, with keys that are text.
    record = json.loads(json.dumps(record))
    write_json(folder / RECORD, record | {_CHECKSUM: digest(record)})


def _files(folder: Path) -> list[Path]:
    """Return the files in a folder, sorted; hidden ones and the record are left out."""
    return [
        path
        for path in sorted(folder.iterdir())
        if path.is_file() and not path.name.startswith(".") and path.name != RECORD
    ]


def _files_below(folder: Path) -> list[Path]:
    """Return the files in a folder and in all folders below it that are no artefacts themselves."""
    if not folder.is_dir():
        return []
    below = [p for p in sorted(folder.iterdir()) if p.is_dir() and not (p / RECORD).exists()]
    return [*_files(folder), *(file for path in below for file in _files_below(path))]


def _begin(folder: Path, kind: str) -> None:
    """Write a record that says "unfinished", and remove the files of the artefact before.

    Temporary files that killed processes left in the folder and below it are removed as well.
    """
    with reporting_unwritable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for root, _, _ in os.walk(folder):
            sweep(root)
        names = _names_before(folder)
        record = {"format": FORMAT, _UNFINISHED: kind, "content": names}
        write_json(folder / RECORD, record | {_CHECKSUM: digest(record)})
        for name in names:
            (folder / name).unlink(missing_ok=True)


def _names_before(folder: Path) -> list[str]:
    """Return the names of the files that the present record lists, finished or not."""
    try:
        content = _load(folder / RECORD)["content"]
    except (InputError, ValueError, KeyError):
        return []
    return [name for name in map(str, content) if _inside(name)]
