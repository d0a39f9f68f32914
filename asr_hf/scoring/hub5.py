"""Telephone speech scored by NIST's own script, hubscr.pl, where SCTK is installed."""

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

_SECONDS = 1800
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
    """Return how hubscr.pl is called on this machine; None when SCTK is not installed."""
    if found := shutil.which("hubscr.pl"):
        return [found, "-p", str(Path(found).parent)]
    # Debian's package puts it behind a wrapper.
    if found := shutil.which("sctk"):
        return [found, "hubscr.pl"]
    return None


def scored_words(words: Iterable[CtmWord]) -> Iterator[CtmWord]:
    """Yield what is given to the scoring of hub5.

    Noises, hesitations and unfinished words go, which the references count as optional; spelled
    words become letters that share the time: `i._b._m.'s` is i, b, m's.
    """
    for word in words:
        parts = _parts(word.word)
        for index, part in enumerate(parts):
            each = word.duration / len(parts)
            yield replace(word, start=word.start + index * each, duration=each, word=part)


def scored_text(words: Iterable[str]) -> list[str]:
    """Return the same of words without times, for counts of our own."""
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
    """Word errors as hubscr.pl counts them (language english, protocol hub5).

    Args:
        command: how it is called.
        stm: references.
        glm: rules that make spellings alike.
        words: what was recognised, in the time of recordings, sides A and B.
        prefix: only recordings whose name begins so; the subsets of eval2000 are sw_ and en_.

    Raises:
        RunError: it fails, or its answer cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="asr-hf-hub5-") as scratch:
        folder = Path(scratch)
        # In Latin-1 every byte is a character, whatever the encoding is.
        lines = lines_of(stm.read_text(encoding="latin-1"))
        kept = [x for x in lines if x.startswith(";;") or x.startswith(prefix)]
        (folder / "ref.stm").write_text("\n".join(kept) + "\n", encoding="latin-1")
        (folder / "rules.glm").write_bytes(glm.read_bytes())
        ours = [word for word in words if word.recording.startswith(prefix)]
        ours.sort(key=lambda word: (word.recording, word.channel, word.start))
        write_ctm(folder / "hyp.ctm", scored_words(ours))
        files = ["-g", "rules.glm", "-r", "ref.stm", "hyp.ctm"]
        _run([*command, "-l", "english", "-h", "hub5", *files], folder)
        return parse_raw_summary((folder / "hyp.ctm.filt.raw").read_text(encoding="latin-1"))


def _run(command: list[str], folder: Path) -> None:
    try:
        done = run_text_command(command, folder=folder, timeout=_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RunError(f"{command[0]} cannot be run: {error}") from error
    if done.returncode or not (folder / "hyp.ctm.filt.raw").exists():
        said = (done.stdout + done.stderr).strip()[-500:]
        raise RunError(
            f"{' '.join(command[:2])} failed with status {done.returncode}:\n{said}",
            remedy="see that SCTK is whole: its hubscr.pl, csrfilt.sh, rfilter1 and sclite",
        )
