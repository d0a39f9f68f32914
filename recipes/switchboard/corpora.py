"""The licensed corpora: which are needed, where they are, and which files each has to hold."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_hf.runtime.errors import InputError

from .lexicon import DICTIONARY
from .settings import SwitchboardSettings
from .sphere import find_recordings
from .transcripts import TRANSCRIPTS

log = logging.getLogger("asr_hf.recipes.switchboard")

# Numbers of recordings in the releases of LDC97S62.
_RECORDINGS = (2435, 2438)
FISHER = "data/trans/*/*.txt"


@dataclass(frozen=True)
class Corpus:
    """One corpus that the user has to obtain.

    Args:
        key: key under `corpus` in the configuration.
        catalogue: number at the publisher, and name.
        role: purpose of the corpus.
        looked_for: files that the check looks for, for messages.
        missing: function that lists what a folder lacks.
        needed_by: set that needs it; "train" for the training data, empty where no set does.
    """

    key: str
    catalogue: str
    role: str
    looked_for: str
    missing: Callable[[Path], list[str]]
    needed_by: str


def transcripts_folder(folder: Path) -> Path:
    """Find swb_ms98_transcriptions in a folder, which may be its parent or itself."""
    inner = folder / "swb_ms98_transcriptions"
    return inner if inner.is_dir() else folder


def eval2000_folder(folder: Path) -> Path:
    """Find the folder of English recordings of LDC2002S09."""
    inner = folder / "hub5e_00" / "english"
    return inner if inner.is_dir() else folder / "english"


PEM = "hub5e_00.pem"
EVAL2000_STM = "**/reference/hub5e00.english.000405.stm"
EVAL2000_GLM = "**/reference/en20000405_hub5.glm"
RT03_AUDIO = "data/audio/eval03/english/cts"
RT03_STM = "data/references/eval03/english/cts/*.stm"
RT03_GLM = "data/trans_rules/en20030506.glm"


def find_file(folder: Path, pattern: str) -> Path:
    """Find the first file that fits a pattern; the corpus was checked to have one."""
    return next(iter(sorted(folder.glob(pattern))))


def _audio(folder: Path) -> list[str]:
    count = len(find_recordings(folder))
    if count and count not in _RECORDINGS:
        log.warning("%s: %d recordings, not %d or %d as published", folder, count, *_RECORDINGS)
    return [] if count else ["**/*.sph"]


def _holding(
    *patterns: str, below: Callable[[Path], Path] = lambda f: f
) -> Callable[[Path], list[str]]:
    """Make a check that a folder has a file for each pattern."""

    def missing(folder: Path) -> list[str]:
        return [p for p in patterns if next(below(folder).glob(p), None) is None]

    return missing


def _evaluation_audio(folder: Path) -> list[str]:
    english = eval2000_folder(folder)
    missing = [] if english.is_dir() and find_recordings(english) else ["english/*.sph"]
    return missing + [f"english/{name}" for name in _holding(PEM)(english)]


def _rt03(folder: Path) -> list[str]:
    audio = folder / RT03_AUDIO
    missing = [] if audio.is_dir() and find_recordings(audio) else [f"{RT03_AUDIO}/*.sph"]
    return missing + _holding(RT03_STM, RT03_GLM)(folder)


CORPORA = (
    Corpus(
        "swbd",
        "LDC97S62, Switchboard-1 Release 2",
        "training audio",
        "*.sph files, anywhere below it",
        _audio,
        "train",
    ),
    Corpus(
        "msu",
        "OpenSLR resource 5, Mississippi State transcripts (swb_ms98_transcriptions)",
        "training transcripts and lexicon",
        f"{DICTIONARY} and {TRANSCRIPTS}",
        _holding(DICTIONARY, TRANSCRIPTS, below=transcripts_folder),
        "train",
    ),
    Corpus(
        "eval2000",
        "LDC2002S09, 2000 HUB5 English Evaluation Speech",
        "test audio",
        f"english/*.sph and english/{PEM}, below hub5e_00/ or directly",
        _evaluation_audio,
        "eval2000",
    ),
    Corpus(
        "hub5_refs",
        "LDC2002T43, 2000 HUB5 English Evaluation Transcripts",
        "test references",
        f"{EVAL2000_STM[3:]} and {EVAL2000_GLM[3:]}",
        _holding(EVAL2000_STM, EVAL2000_GLM),
        "eval2000",
    ),
    Corpus(
        "rt03",
        "LDC2007S10, 2003 NIST Rich Transcription Evaluation Data",
        "a second test set",
        f"{RT03_AUDIO}/*.sph, {RT03_STM} and {RT03_GLM}",
        _rt03,
        "rt03",
    ),
    Corpus(
        "fisher",
        "LDC2004T19 and LDC2005T19, Fisher English Training Transcripts (a list of folders)",
        "more text for the language model",
        f"{FISHER}, at any depth",
        _holding(f"**/{FISHER}"),
        "",
    ),
)


def folders_of(recipe_settings: SwitchboardSettings, key: str) -> list[Path]:
    """Return the folders that a setting names, as absolute paths."""
    names: Sequence[str] = vars(recipe_settings)[key] or ()
    return [Path(os.path.abspath(name)) for name in names if name]


def check_corpora(
    recipe_settings: SwitchboardSettings, sets: Sequence[str]
) -> dict[str, list[Path]]:
    """Check that every corpus that is needed or named is there and complete.

    Args:
        recipe_settings: settings of the recipe.
        sets: names of the sets to make.

    Returns:
        Folders by key of a corpus, for the corpora that are used.

    Raises:
        InputError: some are missing or incomplete. The message names them, the files looked for in
            them, and the corpora that may be added.
    """
    set_names = {"train", *sets}
    problems = [p for corpus in CORPORA for p in _problems(corpus, recipe_settings, set_names)]
    if problems:
        others = [
            f"    corpus.{corpus.key}: {corpus.catalogue}: {corpus.role}"
            for corpus in CORPORA
            if corpus.needed_by not in set_names and not folders_of(recipe_settings, corpus.key)
        ]
        raise InputError(
            f"Switchboard: {len(problems)} of its corpora cannot be used:\n"
            + "\n".join(problems + (["  may be added:", *others] if others else [])),
            remedy="\n".join(
                ["get them under licence and name their folders:"]
                + [f"corpus.{c.key}=DIR" for c in CORPORA if c.needed_by in set_names]
                + ["or leave a test set out, as in corpus.sets=[train,dev]"]
            ),
        )
    return {c.key: folders for c in CORPORA if (folders := folders_of(recipe_settings, c.key))}


def _problems(
    corpus: Corpus, recipe_settings: SwitchboardSettings, set_names: set[str]
) -> Iterator[str]:
    """Yield the problems of a corpus, each as several lines of a message."""
    folders = folders_of(recipe_settings, corpus.key)
    problems = []
    if not folders and corpus.needed_by in set_names:
        problems.append("not set")
    elif folders and corpus.needed_by and corpus.needed_by not in set_names:
        problems.append(f"set, but corpus.sets has no {corpus.needed_by} that would use it")
    for folder in folders:
        if not folder.is_dir():
            problems.append(f"{folder} is no folder")
        elif missing := corpus.missing(folder):
            problems.append(f"{folder} holds no {', no '.join(missing)}")
    for problem in problems:
        yield (
            f"    corpus.{corpus.key}: {problem}\n"
            f"        {corpus.catalogue}: {corpus.role}\n"
            f"        looked for: {corpus.looked_for}"
        )
