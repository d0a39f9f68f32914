"""Scores telephone speech with NIST's script hubscr.pl, where SCTK is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from asr_hf.data.fields import lines_of
from asr_hf.runtime.children import run_text_command
from asr_hf.runtime.errors import RunError
from asr_hf.scoring.alignment import EditCounts
from asr_hf.scoring.ctm import CtmWord, write_ctm
from asr_hf.scoring.sclite import parse_raw_summary

_TIMEOUT_SECONDS = 1800
_SOUNDS = ("[noise]", "[laughter]", "[vocalized-noise]", "<unk>")
_HESITATIONS = (
    "uh",
    "um",
    "eh",
    "mm",
    "hm",
    "ah",
    "huh",
    "ha",
    "er",
    "oof",
    "hee",
    "ach",
    "eee",
    "ew",
)
_NO_WORDS = frozenset((*_SOUNDS, *_HESITATIONS))
_SPELLED = re.compile(r"(?:[a-z]\._)*[a-z]\.(?:'?s)?")


def hubscr_command() -> list[str] | None:
    """Return the command that calls hubscr.pl on this machine; None if SCTK is not installed."""
    if program := shutil.which("hubscr.pl"):
        return [program, "-p", str(Path(program).parent)]
    # Debian's package has a wrapper around it.
    if program := shutil.which("sctk"):
        return [program, "hubscr.pl"]
    return None


def scored_words(words: Iterable[CtmWord]) -> Iterator[CtmWord]:
    """Yield the words that are scored, for the conventions of hub5.

    Noises, hesitations and unfinished words are dropped, because the references count them as
    optional. A spelled word becomes letters, which share its time: `i._b._m.'s` is i, b, m's.

    Args:
        words: recognised words.
    """
    for word in words:
        parts = _parts(word.word)
        for index, part in enumerate(parts):
            each = word.duration / len(parts)
            yield replace(word, start=word.start + index * each, duration=each, word=part)


def scored_text(words: Iterable[str]) -> list[str]:
    """Return the words that are scored, without times; see `scored_words`.

    >>> scored_text(["uh", "i._b._m.'s", "offer"])
    ['i', 'b', "m's", 'offer']
    """
    return [part for word in words for part in _parts(word)]


def _parts(word: str) -> list[str]:
    if word in _NO_WORDS or word.endswith("-"):
        return []
    if not _SPELLED.fullmatch(word):
        return [word]
    return [letter.replace(".", "") for letter in word.split("._")]


def hub5_errors(
    command: Sequence[str], stm: Path, glm: Path, words: Iterable[CtmWord], prefix: str = ""
) -> EditCounts:
    """Count word errors with hubscr.pl (language english, protocol hub5).

    Args:
        command: command that calls hubscr.pl; see `hubscr_command`.
        stm: file of the references.
        glm: file of the rules that unify spellings.
        words: recognised words, with times in the recordings and channels A and B.
        prefix: begin of the names of the recordings that are scored; the subsets of eval2000 are
            sw_ and en_.

    Returns:
        The numbers of errors.

    Raises:
        RunError: hubscr.pl fails, or its output cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="asr-hf-hub5-") as scratch:
        folder = Path(scratch)
        # In Latin-1 every byte is a character, whatever the encoding is.
        lines = lines_of(stm.read_text(encoding="latin-1"))
        kept = [line for line in lines if line.startswith((";;", prefix))]
        (folder / "ref.stm").write_text("\n".join(kept) + "\n", encoding="latin-1")
        (folder / "rules.glm").write_bytes(glm.read_bytes())
        chosen = [word for word in words if word.recording.startswith(prefix)]
        chosen.sort(key=lambda word: (word.recording, word.channel, word.start))
        write_ctm(folder / "hyp.ctm", scored_words(chosen))
        files = ["-g", "rules.glm", "-r", "ref.stm", "hyp.ctm"]
        _run([*command, "-l", "english", "-h", "hub5", *files], folder)
        return parse_raw_summary((folder / "hyp.ctm.filt.raw").read_text(encoding="latin-1"))


def _run(command: list[str], folder: Path) -> None:
    try:
        completed = run_text_command(command, folder=folder, timeout=_TIMEOUT_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RunError(f"{command[0]} cannot be run: {error}") from error
    if completed.returncode or not (folder / "hyp.ctm.filt.raw").exists():
        output = (completed.stdout + completed.stderr).strip()[-500:]
        raise RunError(
            f"{' '.join(command[:2])} failed with status {completed.returncode}:\n{output}",
            remedy="see that SCTK is whole: its hubscr.pl, csrfilt.sh, rfilter1 and sclite",
        )
