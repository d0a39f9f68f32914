"""Word errors of a network before and after adaptation, on new sets and on old ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from asr_hf.runtime import artefact
from asr_hf.runtime.files import read_json
from asr_hf.scoring.paired import PairedBootstrap
from asr_hf.scoring.transcripts import read_table
from asr_hf.scoring.wer import WerResult, score
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.layout import check_decoded

# Settings of the search, in the record of decoded words.
_DECODING = "decode."


def recorded_search(run_dir: Path) -> dict[str, Any]:
    """Return the settings of decoding that a run's words were found with, by their whole keys.

    Args:
        run_dir: run folder.

    Returns:
        The settings; none where the run was not decoded.

    Raises:
        InputError: it was decoded with another model than it has now.
    """
    folder = run_dir / "decode"
    check_decoded(folder, run_dir)
    known = artefact.find(folder)
    settings = {} if known is None else known.settings
    return {key: value for key, value in settings.items() if key.startswith(_DECODING)}


def not_decoded(run_dir: Path, names: Iterable[str]) -> list[str]:
    """Return those of some sets that a run has not decoded.

    Raises:
        InputError: one was decoded with another model than the run has now.
    """
    folders = {name: run_dir / "decode" / name for name in names}
    for folder in folders.values():
        check_decoded(folder, run_dir)
    return [name for name, folder in folders.items() if not (folder / "hyp.txt").is_file()]


def decoding_weights(run_dir: Path) -> Mapping[str, float]:
    """Return the decoding weights that a run was tuned to."""
    best: Mapping[str, float] = read_json(run_dir / "decode" / "best.json")["best"]
    return best


def row(settings: Settings, name: str, before: Path | None, after: Path) -> dict[str, Any]:
    """Compare the words of a set that two networks have decoded.

    Args:
        settings: settings of the set's corpus.
        name: name of the set.
        before: what the network decoded before adaptation; None where it could not.
        after: what it decoded afterwards.

    Returns:
        Corpus and set; word errors before and after; the change of the word error rate in percent
        of what it was, and in points with a 95 % interval.

    Raises:
        InputError: words are missing, or references have changed between the two.
    """
    result = _scored(after)
    found: dict[str, Any] = {
        "corpus": settings.corpus.name,
        "set": name,
        "before": None,
        "after": result.as_dict(),
    }
    if before is None:
        return found
    earlier = _scored(before)
    change = PairedBootstrap([earlier, result]).between(0, 1)
    relative = 100 * change.difference / earlier.percent if earlier.errors else None
    return found | {
        "before": earlier.as_dict(),
        "points": change.difference,
        "interval": list(change.interval),
        "relative": relative,
    }


def _scored(folder: Path) -> WerResult:
    refs, hyps = read_table(folder / "ref.txt"), read_table(folder / "hyp.txt")
    return score(refs, hyps, missing_as_deleted=True)
