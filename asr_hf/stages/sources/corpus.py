"""Prepared corpora as artefacts: made by a recipe, and perhaps edited by hand since."""

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
    """Make the corpus in `folder`, unless it is there from the same sources.

    Files that were changed by hand are kept, with a warning; where one is missing or empty, the
    corpus is made again. Making replaces the whole folder, with all that was made from the corpus.

    Args:
        folder: where it goes.
        settings: by their whole keys.
        sources: what it is made from.
        make: writes it into a folder; returns what corpus.json says.

    Returns:
        What corpus.json says.

    Raises:
        InputError: the folder holds something that is no corpus, and would be lost.
    """
    about = prepared_corpus(folder)
    wanted = ArtefactSpec(_KIND, settings, sources)
    known = fitting(folder, wanted) if about else None
    if known is not None and _kept(known):
        log.info("%s: the corpus is there already", folder)
        return about

    def write(part: Path) -> dict[str, Any]:
        write_json(part / "corpus.json", make(part))
        return {}

    make_anew(folder, wanted, write, whole=True)
    made: dict[str, Any] = read_json(folder / "corpus.json")
    return made


def rules_source(files: Iterable[Path]) -> Source:
    """What identifies a recipe: its code and tables."""
    return Source.of_values([[path.name, file_digest(path)] for path in files])


def _kept(known: Artefact) -> bool:
    """Whether nothing is missing; says what was changed."""
    lost = [
        name for name, (size, _) in known.content.items() if size and not _size(known.folder / name)
    ]
    if lost:
        log.warning("%s: made again, because these are gone: %s", known.folder, ", ".join(lost))
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
