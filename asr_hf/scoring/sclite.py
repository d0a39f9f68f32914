"""A second opinion on the word errors from NIST's sclite, where it is installed."""

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

_SECONDS = 600


@dataclass(frozen=True)
class ScliteComparison:
    """Our counts beside sclite's.

    sclite weighs a substitution 4 and the others 3, so that its number of errors may exceed the
    smallest one. Where two alignments cost the same it may pick another one than we do; the cost
    and the number of words then still agree.

    Args:
        ours: counts under sclite's costs.
        theirs: counts that sclite reports.
    """

    ours: EditCounts
    theirs: EditCounts

    @property
    def agree(self) -> bool:
        """Whether both found alignments of the same cost over the same words."""
        same_words = self.ours.words == self.theirs.words
        return same_words and _cost(self.ours) == _cost(self.theirs)


def sclite_command() -> list[str] | None:
    """Return how sclite is called on this machine; None when it is not installed."""
    if found := shutil.which("sclite"):
        return [found]
    # Debian's package puts it behind a wrapper.
    if found := shutil.which("sctk"):
        return [found, "sclite"]
    return None


def compare_with_sclite(refs: Transcripts, hyps: Transcripts) -> ScliteComparison | None:
    """Score with sclite and by ourselves; None when sclite is not installed.

    Utterances without hypothesis are given to both as empty.

    Raises:
        RunError: sclite fails, or its answer cannot be read.
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
    # Numbered words: sclite folds case and reads braces, slashes, parentheses and stars as markup.
    numbers: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="asr-hf-sclite-") as folder:
        ref_file, hyp_file = Path(folder) / "ref.trn", Path(folder) / "hyp.trn"
        ref_file.write_text(_trn(refs, refs, numbers), encoding="ascii")
        hyp_file.write_text(_trn(refs, hyps, numbers), encoding="ascii")
        arguments = ["-r", str(ref_file), "trn", "-h", str(hyp_file), "trn"]
        arguments += ["-i", "spu_id", "-o", "rsum", "stdout"]
        try:
            done = run_text_command([*command, *arguments], timeout=_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise RunError(f"{command[0]} cannot be run: {error}") from error
    if done.returncode:
        raise RunError(f"{command[0]} failed with status {done.returncode}: {done.stderr.strip()}")
    return parse_raw_summary(done.stdout)


def _trn(order: Transcripts, words: Transcripts, numbers: dict[str, str]) -> str:
    lines = []
    for index, name in enumerate(order):
        tokens = [numbers.setdefault(word, f"w{len(numbers)}") for word in words.get(name, ())]
        lines.append(" ".join([*tokens, f"(set-{index:07d})"]))
    return "\n".join(lines) + "\n"


def parse_raw_summary(text: str) -> EditCounts:
    """Read the totals off sclite's raw summary (`-o rsum`).

    Raises:
        RunError: there is no row of totals.
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
