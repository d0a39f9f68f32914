"""Counts word errors with NIST's sclite as well, where it is installed."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from asr_hf.runtime.children import run_text_command
from asr_hf.runtime.errors import RunError
from asr_hf.scoring.alignment import EditCounts, add_counts, count_errors, word_alignment
from asr_hf.scoring.wer import Transcripts

_TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class ScliteComparison:
    """The error counts of asr-hf and of sclite.

    In sclite a substitution costs 4 and other errors 3, so that its number of errors may exceed the
    smallest one. Of two alignments of the same cost, sclite may pick another one than asr-hf; the
    cost and the number of words agree even then.

    Args:
        ours: counts of asr-hf, under sclite's costs.
        theirs: counts that sclite reports.
    """

    ours: EditCounts
    theirs: EditCounts

    @property
    def agree(self) -> bool:
        """Whether both alignments have the same cost and the same number of words."""
        same_words = self.ours.words == self.theirs.words
        return same_words and _cost(self.ours) == _cost(self.theirs)


def sclite_command() -> list[str] | None:
    """Return the command that calls sclite on this machine; None if it is not installed."""
    if program := shutil.which("sclite"):
        return [program]
    # Debian's package has a wrapper around it.
    if program := shutil.which("sctk"):
        return [program, "sclite"]
    return None


def compare_with_sclite(refs: Transcripts, hyps: Transcripts) -> ScliteComparison | None:
    """Count the errors of a set of utterances with asr-hf and with sclite.

    Args:
        refs: reference words of each utterance.
        hyps: hypothesis words of each utterance; a missing one counts as empty.

    Returns:
        Both counts; None if sclite is not installed.

    Raises:
        RunError: sclite fails, or its output cannot be read.
    """
    command = sclite_command()
    if command is None:
        return None
    ours = add_counts(
        count_errors(word_alignment(ref, hyps.get(name, ()), sclite_costs=True))
        for name, ref in refs.items()
    )
    return ScliteComparison(ours, _run(command, refs, hyps))


def _run(command: list[str], refs: Transcripts, hyps: Transcripts) -> EditCounts:
    # Numbers stand for the words, because sclite folds case and reads some signs as markup.
    numbers: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="asr-hf-sclite-") as folder:
        ref_file, hyp_file = Path(folder) / "ref.trn", Path(folder) / "hyp.trn"
        ref_file.write_text(_trn(refs, refs, numbers), encoding="ascii")
        hyp_file.write_text(_trn(refs, hyps, numbers), encoding="ascii")
        arguments = ["-r", str(ref_file), "trn", "-h", str(hyp_file), "trn"]
        arguments += ["-i", "spu_id", "-o", "rsum", "stdout"]
        try:
            completed = run_text_command([*command, *arguments], timeout=_TIMEOUT_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RunError(f"{command[0]} cannot be run: {error}") from error
    if completed.returncode:
        raise RunError(
            f"{command[0]} failed with status {completed.returncode}: {completed.stderr.strip()}"
        )
    return parse_raw_summary(completed.stdout)


def _trn(order: Transcripts, words: Transcripts, numbers: dict[str, str]) -> str:
    lines = []
    for index, name in enumerate(order):
        tokens = [numbers.setdefault(word, f"w{len(numbers)}") for word in words.get(name, ())]
        lines.append(" ".join([*tokens, f"(set-{index:07d})"]))
    return "\n".join(lines) + "\n"


def parse_raw_summary(text: str) -> EditCounts:
    """Read the totals from sclite's raw summary (`-o rsum`).

    Args:
        text: the summary.

    Returns:
        The numbers of errors.

    Raises:
        RunError: the summary has no row of totals.
    """
    row = re.search(r"^\s*\|\s*Sum\s*\|([\d\s]+)\|([\d\s]+)\|", text, flags=re.MULTILINE)
    if row is None or len(row[1].split()) != 2 or len(row[2].split()) != 6:
        raise RunError(
            f"sclite's answer has no row of totals:\n{text.strip()[-500:]}",
            expected="| Sum | sentences words | corr sub del ins err s.err |",
        )
    _, words = map(int, row[1].split())
    _, substitutions, deletions, insertions, _, _ = map(int, row[2].split())
    return EditCounts(substitutions, deletions, insertions, words)


def _cost(counts: EditCounts) -> int:
    return 4 * counts.substitutions + 3 * (counts.deletions + counts.insertions)
