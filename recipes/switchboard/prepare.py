"""Switchboard-1: checks that the licensed corpora are where the configuration says."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from asr_hf.runtime.errors import InputError, RunError

log = logging.getLogger("asr_hf.recipes.switchboard")

# What LDC97S62 holds, by its releases.
_RECORDINGS = (2435, 2438)


@dataclass(frozen=True)
class Corpus:
    """One corpus a person has to get hold of.

    Args:
        key: its key under `corpus` in the configuration.
        catalogue: its number at the publisher, and name.
        role: what it is for.
        looked_for: what the check looks for, for messages.
        missing: folder -> what of it is not there.
    """

    key: str
    catalogue: str
    role: str
    looked_for: str
    missing: Callable[[Path], list[str]]


def _audio(folder: Path) -> list[str]:
    count = len(_sphere_files(folder))
    if count and count not in _RECORDINGS:
        log.warning("%s: %d recordings, not %d or %d as published", folder, count, *_RECORDINGS)
    return [] if count else ["**/*.sph"]


def _sphere_files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix.lower() == ".sph"]


def _transcripts(folder: Path) -> list[str]:
    wanted = ("sw-ms98-dict.text", "*/*/*-trans.text")
    return [pattern for pattern in wanted if not _holds(folder, pattern)]


def _evaluation_audio(folder: Path) -> list[str]:
    english = next((p for p in (folder / "hub5e_00" / "english", folder / "english") if p.is_dir()),
                   folder / "english")  # fmt: skip
    missing = [] if _sphere_files(english) else ["english/*.sph"]
    return missing + ([] if _holds(english, "hub5e_00.pem") else ["english/hub5e_00.pem"])


def _references(folder: Path) -> list[str]:
    wanted = ("hub5e00.english.000405.stm", "en20000405_hub5.glm")
    return [name for name in wanted if not _holds(folder, f"**/reference/{name}")]


def _holds(folder: Path, pattern: str) -> bool:
    return next(folder.glob(pattern), None) is not None


CORPORA = (
    Corpus(
        "swbd",
        "LDC97S62, Switchboard-1 Release 2",
        "training audio",
        "*.sph files, anywhere below it",
        _audio,
    ),
    Corpus(
        "msu",
        "OpenSLR resource 5, Mississippi State transcripts (swb_ms98_transcriptions)",
        "training transcripts and lexicon",
        "sw-ms98-dict.text and */*/*-trans.text",
        _transcripts,
    ),
    Corpus(
        "eval2000",
        "LDC2002S09, 2000 HUB5 English Evaluation Speech",
        "test audio",
        "english/*.sph and english/hub5e_00.pem, below hub5e_00/ or directly",
        _evaluation_audio,
    ),
    Corpus(
        "hub5_refs",
        "LDC2002T43, 2000 HUB5 English Evaluation Transcripts",
        "test references",
        "reference/hub5e00.english.000405.stm and reference/en20000405_hub5.glm",
        _references,
    ),
)


def prepare(config: DictConfig) -> dict[str, Any]:
    """Check that every corpus is there.

    Raises:
        InputError: some are missing or incomplete; says which, and what is looked for in them.
        RunError: all are there, but their preparation is not built yet.
    """
    problems = [text for corpus in CORPORA if (text := _problem(corpus, config.corpus))]
    if problems:
        raise InputError(
            f"Switchboard needs {len(CORPORA)} corpora, of which {len(problems)} cannot be used:\n"
            + "\n".join(problems),
            remedy="\n".join(
                ["get them under licence and name their folders:"]
                + [f"corpus.{corpus.key}=DIR" for corpus in CORPORA]
            ),
        )
    raise RunError(
        "every corpus of Switchboard is there, but preparing it is not built yet",
        remedy="make Kaldi data directories yourself, or use +recipe=prompts or +recipe=prompts5",
    )


def _problem(corpus: Corpus, folders: DictConfig) -> str:
    """What is wrong with one corpus, over several lines; empty when it is complete."""
    setting = folders.get(corpus.key)
    if setting is None:
        found = "not set"
    elif not Path(setting).is_dir():
        found = f"{setting} is no folder"
    elif missing := corpus.missing(Path(setting)):
        found = f"{setting} holds no {', no '.join(missing)}"
    else:
        return ""
    return (
        f"    corpus.{corpus.key}: {found}\n"
        f"        {corpus.catalogue}: {corpus.role}\n"
        f"        looked for: {corpus.looked_for}"
    )
