"""What artefacts are made from (settings, sources, digests), and how two of these differ.

See docs/artefacts.md.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asr_hf.runtime.errors import InputError

_ABSENT = "(absent)"


def digest(*parts: Any) -> str:
    """Return the SHA-256 of JSON-able values, in hexadecimal digits."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal digits.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


@dataclass(frozen=True)
class Source:
    """One of the things that an artefact is made from.

    Args:
        digest: SHA-256 that identifies the source.
        folder: folder of the source if it is an artefact itself; empty otherwise.
        settings: settings that the source was made with, if it is an artefact.
        sources: sources that the source was made from, if it is an artefact.
    """

    digest: str
    folder: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)

    @classmethod
    def of_values(cls, *values: Any) -> Source:
        """Return JSON-able values as a source."""
        return cls(digest(*values))

    @classmethod
    def of_file(cls, path: Path) -> Source:
        """Return a file as a source, identified by its content."""
        return cls(file_digest(path))

    def to_json(self, base: Path) -> dict[str, Any]:
        """Return the source for a record in the folder `base`, with paths relative to `base`."""
        if not self.folder:
            return {"digest": self.digest}
        return {
            "digest": self.digest,
            "folder": os.path.relpath(self.folder, base),
            "settings": dict(self.settings),
            "sources": {name: source.to_json(base) for name, source in self.sources.items()},
        }

    @classmethod
    def from_json(cls, value: Any, base: Path) -> Source:
        """Return the source that `to_json` has made into `value`.

        Raises:
            ValueError: the value is not of that form.
        """
        if not isinstance(value, dict) or not isinstance(value.get("digest"), str):
            raise ValueError("a source without digest")
        settings, sources = value.get("settings", {}), value.get("sources", {})
        folder = value.get("folder", "")
        if not (isinstance(settings, dict) and isinstance(sources, dict)):
            raise ValueError("a source that is none")
        where = os.path.normpath(base / str(folder)) if folder else ""
        return cls(value["digest"], where, settings, sources_from_json(sources, base))


@dataclass(frozen=True)
class ArtefactSpec:
    """What an artefact is to be made from.

    Args:
        kind: kind of artefact: "features", "frame store" and so on.
        settings: JSON-able values, by their whole configuration key.
        sources: sources, by their role.
    """

    kind: str
    settings: Mapping[str, Any]
    sources: Mapping[str, Source]


@dataclass(frozen=True)
class Artefact:
    """An artefact as its record describes it.

    Args:
        folder: folder of the artefact.
        kind: kind of artefact; see `ArtefactSpec`.
        settings: settings that it was made with.
        sources: sources that it was made from.
        content: size (bytes) and SHA-256 of each file, by its path in the folder.
        about: JSON-able values that its maker tells about it.
    """

    folder: Path
    kind: str
    settings: Mapping[str, Any]
    sources: Mapping[str, Source]
    content: Mapping[str, tuple[int, str]]
    about: dict[str, Any]

    @property
    def digest(self) -> str:
        """The SHA-256 of the artefact's kind and content."""
        return digest(self.kind, {name: sha for name, (_, sha) in self.content.items()})

    @property
    def source(self) -> Source:
        """The artefact as a source of another one."""
        return Source(self.digest, str(self.folder), self.settings, self.sources)

    def damage(self, max_bytes: int | None = None) -> list[str]:
        """Return the files that are not as they were written, each with what is wrong.

        Args:
            max_bytes: size (bytes) up to which the content of a file is compared; of larger files
                only the size is. None compares the content of all files.
        """
        return [
            f"{self.folder / name}: {wrong}"
            for name, (size, sha) in self.content.items()
            if (wrong := _wrong(self.folder / name, size, sha, max_bytes))
        ]


def sources_from_json(values: Mapping[str, Any], base: Path) -> dict[str, Source]:
    """Return the sources that a record in the folder `base` holds.

    Raises:
        ValueError: the values are not of the form that `Source.to_json` gives.
    """
    return {str(name): Source.from_json(value, base) for name, value in values.items()}


def differences(known: Artefact | Source, other: ArtefactSpec | Source) -> list[str]:
    """Return in what two origins differ: settings by their keys, other sources by their roles."""
    changes = _changed(known.settings, other.settings)
    for name in sorted({*known.sources, *other.sources}):
        old, new = known.sources.get(name), other.sources.get(name)
        if old is None or new is None:
            changes.append(f"{name}: " + ("not before" if old is None else "not any more"))
        elif old.digest != new.digest:
            changes += differences(old, new) or [_other(name, old, new)]
    return list(dict.fromkeys(changes))


def all_settings(known: Artefact | Source) -> dict[str, Any]:
    """Return the settings of an artefact and all its sources; of several values the nearest."""
    settings: dict[str, Any] = {}
    level: list[Artefact | Source] = [known]
    while level:
        for origin in level:
            for key, value in origin.settings.items():
                settings.setdefault(key, value)
        level = [source for origin in level for source in origin.sources.values()]
    return settings


def indented(lines: list[str]) -> str:
    """Return lines as an indented list for a message."""
    return "\n".join(f"    {line}" for line in lines)


def _changed(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [
        f"{key}: {old.get(key, _ABSENT)} -> {new.get(key, _ABSENT)}"
        for key in sorted({*old, *new})
        if old.get(key, _ABSENT) != new.get(key, _ABSENT)
    ]


def _other(name: str, old: Source, new: Source) -> str:
    where = f" ({new.folder})" if new.folder else ""
    return f"{name}{where}: {old.digest[:12]} -> {new.digest[:12]}"


def measure(path: Path) -> tuple[int, str]:
    """Return the size (bytes) and the SHA-256 of a file of an artefact.

    An scp file names the archives beside it by their absolute paths. It is measured with the
    folder's own path removed from it, so that the folder may move.

    Raises:
        InputError: the file cannot be read.
    """
    try:
        if path.suffix != ".scp":
            return path.stat().st_size, file_digest(path)
        text = path.read_bytes().replace(os.fsencode(path.parent.absolute()) + b"/", b"")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    return len(text), hashlib.sha256(text).hexdigest()


def _wrong(path: Path, size: int, sha: str, max_bytes: int | None) -> str:
    """Return what is wrong with a file; "" where nothing is."""
    try:
        if max_bytes is not None and size > max_bytes and path.suffix != ".scp":
            actual_size = path.stat().st_size
            return "" if actual_size == size else f"{actual_size} bytes, not {size}"
        actual_size, actual_sha = measure(path)
    except OSError as error:
        return error.strerror or str(error)
    except InputError as error:
        return error.problem.removeprefix(f"{path}: ")
    if actual_size != size:
        return f"{actual_size} bytes, not {size}"
    return "" if actual_sha == sha else "its bytes are not those that were written"
