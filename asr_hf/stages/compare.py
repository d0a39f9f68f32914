"""Compare runs: held-out losses and their costs, settings that differ, words of test sets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asr_hf.report.comparison.comparison import Comparison, checked
from asr_hf.report.comparison.runs import ComparedRun, read_runs
from asr_hf.report.comparison.words import Decoded, compare_words
from asr_hf.report.run_data import RunData
from asr_hf.runtime.errors import InputError
from asr_hf.scoring.transcripts import read_table
from asr_hf.stages.sources.layout import check_decoded


def compare(
    folders: Sequence[Path], labels: Sequence[str] | None = None, *, named_first: bool = False
) -> Comparison:
    """Compare runs, finished or not; what is damaged or stale is named with its run.

    Args:
        folders: run folders.
        labels: names of the runs; None for the folders' names.
        named_first: whether the words of the others are compared with those of the first run;
            otherwise with those of the run that makes the fewest errors.

    Returns:
        The comparison.

    Raises:
        InputError: labels and folders differ in number, or there is no folder.
    """
    runs = [checked(run) for run in read_runs(folders, labels)]
    notes: dict[str, list[str]] = {run.label: [] for run in runs}
    decoded = {run.label: _decoded(run, notes[run.label]) for run in runs}
    reference = runs[0].label if named_first else None
    return Comparison(runs, compare_words(decoded, reference), notes)


def _decoded(run: ComparedRun, notes: list[str]) -> dict[str, Decoded]:
    """Read the sets that a run has decoded; add to `notes` which of them are of no use."""
    sets = {}
    for path in sorted((run.folder / "decode").glob("*/hyp.txt")):
        folder = path.parent
        try:
            check_decoded(folder, run.folder)
            refs, hyps = read_table(folder / "ref.txt"), read_table(path)
            problem = _unfit(refs, hyps)
        except InputError as error:
            problem = error.problem.replace(f"{run.folder}/", "")
        if problem:
            notes.append(f"words of {folder.name} left out: {problem}")
        else:
            sets[folder.name] = Decoded(refs, hyps, _nist(run.data, folder.name))
    return sets


def _unfit(refs: dict[str, list[str]], hyps: dict[str, list[str]]) -> str:
    """Say why hypotheses cannot be scored; empty where they can."""
    if unknown := hyps.keys() - refs.keys():
        return f"{len(unknown)} recognised utterances have no reference, {min(unknown)} among them"
    return "" if any(refs.values()) else "there is not a single reference word"


def _nist(data: RunData, name: str) -> dict[str, float]:
    """Return what NIST's hubscr counted in a set when it was scored (percent)."""
    try:
        parts = data.result["wer"]["sets"][name].get("hub5") or {}
        return {str(part): float(figures["percent"]) for part, figures in parts.items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        # Not scored, or by another hand than ours.
        return {}
