"""Prepared corpora as artefacts: a recipe makes them, and people may edit them afterwards."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from asr_hf.runtime.artefact import fitting, make_anew
from asr_hf.runtime.files import read_json, write_json
from asr_hf.runtime.provenance import Artefact, ArtefactSpec, Source, file_digest, indented
from asr_hf.stages.sources.layout import prepared_corpus

log = logging.getLogger(__name__)

_KIND = "corpus"


def make_corpus(
    folder: Path,
    settings: Mapping[str, Any],
    sources: Mapping[str, Source],
    make: Callable[[Path], dict[str, Any]],
) -> dict[str, Any]:
    """Return the corpus.json of the corpus in `folder`; make the corpus unless it is current.

    Files that were changed by hand are kept, with a warning; where one is missing or empty, the
    corpus is made again. Making replaces the whole folder, with all that was made from the corpus.

    Args:
        folder: folder of the corpus.
        settings: settings that the corpus depends on, by their whole keys.
        sources: sources, by their role.
        make: writes the corpus into a folder and returns the content of corpus.json.

    Raises:
        InputError: the folder is no corpus, and its content would be lost.
    """
    about = prepared_corpus(folder)
    spec = ArtefactSpec(_KIND, settings, sources)
    known = fitting(folder, spec) if about else None
    if known is not None and _kept(known):
        log.info("%s: the corpus is there already", folder)
        return about

    def write(part: Path) -> dict[str, Any]:
        write_json(part / "corpus.json", make(part))
        return {}

    make_anew(folder, spec, write, whole=True)
    made: dict[str, Any] = read_json(folder / "corpus.json")
    return made


def rules_source(files: Iterable[Path]) -> Source:
    """Return the source that identifies a recipe by its code and tables."""
    return Source.of_values([[path.name, file_digest(path)] for path in files])


def _kept(known: Artefact) -> bool:
    """Return whether no file is missing or empty; log the files that were changed."""
    missing = [
        name for name, (size, _) in known.content.items() if size and not _size(known.folder / name)
    ]
    if missing:
        log.warning("%s: made again, because these are gone: %s", known.folder, ", ".join(missing))
        return False
    if edited := known.damage():
        log.warning(
            "%s: kept as it was changed since it was prepared (remove the folder to have it made "
            "again):\n%s",
            known.folder,
            indented(edited),
        )
    return True


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
