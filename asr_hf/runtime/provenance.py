"""What an artefact is made from: settings, sources, digests; and what differs between two of them.

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
    """Return SHA-256 of JSON-able values."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def file_digest(path: Path) -> str:
    """Return SHA-256 of a file's bytes.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error


@dataclass(frozen=True)
class Source:
    """One thing that an artefact is made from.

    Args:
        digest: what identifies it.
        folder: where it is, if it is an artefact; empty for other things.
        settings: the artefact's own.
        sources: the artefact's own.
    """

    digest: str
    folder: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)

    @classmethod
    def of_values(cls, *values: Any) -> Source:
        """JSON-able values."""
        return cls(digest(*values))

    @classmethod
    def of_file(cls, path: Path) -> Source:
        """Return a file, by its content."""
        return cls(file_digest(path))

    def to_json(self, base: Path) -> dict[str, Any]:
        """As the record in the folder `base` holds it: paths are relative, so that all may move."""
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
        """Return the reverse of `to_json`.

        Raises:
            ValueError: the value is something else.
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
class Wanted:
    """What an artefact is to be made from.

    Args:
        kind: "features", "frame store" and so on.
        settings: JSON-able values by their whole configuration key.
        sources: by what they are to it.
    """

    kind: str
    settings: Mapping[str, Any]
    sources: Mapping[str, Source]


@dataclass(frozen=True)
class Artefact:
    """An artefact as its record describes it.

    Args:
        folder: where it is.
        kind, settings, sources: what it was made from; see `Wanted`.
        content: size and SHA-256 of each file, by its path in the folder.
        about: what its maker says of it.
    """

    folder: Path
    kind: str
    settings: Mapping[str, Any]
    sources: Mapping[str, Source]
    content: Mapping[str, tuple[int, str]]
    about: dict[str, Any]

    @property
    def digest(self) -> str:
        """What identifies it: kind and content."""
        return digest(self.kind, {name: sha for name, (_, sha) in self.content.items()})

    @property
    def source(self) -> Source:
        """Itself, as what something else is made from."""
        return Source(self.digest, str(self.folder), self.settings, self.sources)

    def damage(self, most: int | None = None) -> list[str]:
        """Return files that are not as they were written, each with what is wrong.

        Args:
            most: the content of larger files is not looked at; None looks at all.
        """
        return [
            f"{self.folder / name}: {wrong}"
            for name, (size, sha) in self.content.items()
            if (wrong := _wrong(self.folder / name, size, sha, most))
        ]


def sources_from_json(values: Mapping[str, Any], base: Path) -> dict[str, Source]:
    """Return sources as a record in the folder `base` holds them.

    Raises:
        ValueError: they are something else.
    """
    return {str(name): Source.from_json(value, base) for name, value in values.items()}


def differences(known: Artefact | Source, wanted: Wanted | Source) -> list[str]:
    """In what two origins differ: settings by their keys, other sources by their names."""
    found = _changed(known.settings, wanted.settings)
    for name in sorted({*known.sources, *wanted.sources}):
        old, new = known.sources.get(name), wanted.sources.get(name)
        if old is None or new is None:
            found.append(f"{name}: " + ("not before" if old is None else "not any more"))
        elif old.digest != new.digest:
            found += differences(old, new) or [_other(name, old, new)]
    return list(dict.fromkeys(found))


def all_settings(known: Artefact | Source) -> dict[str, Any]:
    """Its settings and those of all that it was made from; of one key, the nearest value."""
    found: dict[str, Any] = {}
    level: list[Artefact | Source] = [known]
    while level:
        for one in level:
            for key, value in one.settings.items():
                found.setdefault(key, value)
        level = [source for one in level for source in one.sources.values()]
    return found


def indented(lines: list[str]) -> str:
    """Return lines of a list inside a message."""
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
    """Return size and SHA-256 of a file of an artefact.

    Of an scp file, which names the archives beside it by their absolute paths, they are those that
    it would have without the folder's own path, so that the folder may move.

    Raises:
        InputError: it cannot be read.
    """
    try:
        if path.suffix != ".scp":
            return path.stat().st_size, file_digest(path)
        text = path.read_bytes().replace(os.fsencode(path.parent.absolute()) + b"/", b"")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    return len(text), hashlib.sha256(text).hexdigest()


def _wrong(path: Path, size: int, sha: str, most: int | None) -> str:
    """Return what is wrong with a file, or nothing."""
    try:
        if most is not None and size > most and path.suffix != ".scp":
            found = path.stat().st_size
            return "" if found == size else f"{found} bytes, not {size}"
        found, other = measure(path)
    except OSError as error:
        return error.strerror or str(error)
    except InputError as error:
        return error.problem.removeprefix(f"{path}: ")
    if found != size:
        return f"{found} bytes, not {size}"
    return "" if other == sha else "its bytes are not those that were written"
