"""What a set's lattices are like, in figures a person can judge them by."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from asr_hf.hmm.lattice.lattices import LatticeFacts

_COLUMNS = (
    ("utterances", "utterances", "d"),
    ("hours", "hours", ".2f"),
    ("arcs_per_frame", "arcs/frame", ".1f"),
    ("states_per_frame", "states/frame", ".1f"),
    ("oracle_error", "oracle error %", ".2f"),
    ("best_error", "1-best error %", ".2f"),
    ("log10_paths_per_frame", "log10 paths/frame", ".3f"),
    ("merged", "merged", "d"),
    ("narrowed", "narrowed", "d"),
    ("skipped", "skipped", "d"),
    ("seconds", "seconds", ".0f"),
)


def statistics(
    facts: Mapping[str, LatticeFacts], skipped: Collection[str], frame_shift: float, seconds: float
) -> dict[str, Any]:
    """The figures of a set, all of them from before references were merged in.

    Args:
        facts: of every lattice.
        skipped: utterances without one.
        frame_shift: in seconds.
        seconds: what making them took.

    Returns:
        Counts; errors in per cent of the references' words; and the mean over utterances of
        log10(paths) / frames.
    """
    known = list(facts.values())
    frames = sum(f.frames for f in known)
    words = sum(f.words for f in known)
    per_frame = [f.log_paths / math.log(10) / f.frames for f in known]
    return {
        "utterances": len(known),
        "hours": frames * frame_shift / 3600,
        "arcs_per_frame": sum(f.arcs for f in known) / frames,
        "states_per_frame": sum(f.states for f in known) / frames,
        "words": words,
        "oracle_error": 100 * sum(f.oracle_errors for f in known) / max(words, 1),
        "best_error": 100 * sum(f.best_errors for f in known) / max(words, 1),
        "log10_paths_per_frame": sum(per_frame) / len(per_frame),
        "merged": sum(f.merged for f in known),
        "narrowed": sum(f.narrowed for f in known),
        "skipped": len(skipped),
        "seconds": round(seconds, 1),
    }


def table(sets: Mapping[str, Mapping[str, Any]]) -> str:
    """The statistics of several sets, a column each."""
    width = max(10, *(len(name) + 2 for name in sets))
    lines = [" " * 18 + "".join(f"{name:>{width}}" for name in sets)]
    for key, title, how in _COLUMNS:
        values = (f"{found[key]:{how}}" for found in sets.values())
        lines.append(f"{title:<18}" + "".join(f"{value:>{width}}" for value in values))
    return "\n".join(lines)
