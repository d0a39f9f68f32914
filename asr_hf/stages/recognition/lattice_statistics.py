"""Figures by which people can judge the lattices of a set."""

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
    ("limited_frames", "limited frames %", ".1f"),
    ("narrowed", "narrowed", "d"),
    ("skipped", "skipped", "d"),
    ("seconds", "seconds", ".0f"),
)


def statistics(
    facts: Mapping[str, LatticeFacts], skipped: Collection[str], frame_shift: float, seconds: float
) -> dict[str, Any]:
    """Compute the figures of a set.

    All figures describe the lattices before references were merged into them.

    Args:
        facts: facts about each lattice, by its utterance.
        skipped: utterances without a lattice.
        frame_shift: distance of two frames (s).
        seconds: time that making the lattices took (s).

    Returns:
        Counts; errors in per cent of the references' words; and the mean over utterances of
        log10(paths) / frames.
    """
    lattices = list(facts.values())
    num_frames = sum(f.frames for f in lattices)
    words = sum(f.words for f in lattices)
    per_frame = [f.log_paths / math.log(10) / f.frames for f in lattices]
    return {
        "utterances": len(lattices),
        "hours": num_frames * frame_shift / 3600,
        "arcs_per_frame": sum(f.arcs for f in lattices) / num_frames,
        "states_per_frame": sum(f.states for f in lattices) / num_frames,
        "words": words,
        "oracle_error": 100 * sum(f.oracle_errors for f in lattices) / max(words, 1),
        "best_error": 100 * sum(f.best_errors for f in lattices) / max(words, 1),
        "log10_paths_per_frame": sum(per_frame) / len(per_frame),
        "merged": sum(f.merged for f in lattices),
        "limited_frames": 100 * sum(f.limited_frames for f in lattices) / num_frames,
        "narrowed": sum(f.narrowed for f in lattices),
        "skipped": len(skipped),
        "seconds": round(seconds, 1),
    }


def table(sets: Mapping[str, Mapping[str, Any]]) -> str:
    """Lay out the statistics of several sets, a column each."""
    width = max(10, *(len(name) + 2 for name in sets))
    lines = [" " * 18 + "".join(f"{name:>{width}}" for name in sets)]
    for key, title, form in _COLUMNS:
        values = (f"{figures[key]:{form}}" for figures in sets.values())
        lines.append(f"{title:<18}" + "".join(f"{value:>{width}}" for value in values))
    return "\n".join(lines)
