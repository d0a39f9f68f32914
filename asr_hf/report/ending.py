"""Describes why a run ended, and whether it could have gone on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from asr_hf.runtime.run_folder import EXTENDABLE

# The largest number of held-out losses on each side of a comparison, and the relative fall of their
# mean below which a run has converged (as in trainer.stopping.min_improvement).
_MAX_LOSSES, _MIN_FALL = 10, 1e-3


def ending(events: Sequence[Mapping[str, Any]], limit: str) -> dict[str, Any]:
    """Return the entries of result.json on the end of a run.

    The loss was still falling if the mean of the last held-out losses is lower by a thousandth than
    the mean of as many before them, and if it fell among the last ones too: looks may be many
    iterations apart. The fall in each iteration (or epoch, for optimisers that count epochs) is the
    difference between the means of the halves of the last ones, over their distance.

    Args:
        events: events of the run, with the one before training.
        limit: setting that ended the run; empty if it converged.
    """
    if not limit:
        return {"ended_by": "convergence"}
    losses = [(_place(e), e["heldout_loss"]) for e in events if e.get("heldout_loss") is not None]
    count = min(_MAX_LOSSES, len(losses) // 2)
    entries: dict[str, Any] = {"ended_by": limit}
    if not count:
        return entries
    before, last = losses[-2 * count : -count], losses[-count:]
    if _fall(before, last) <= _MIN_FALL * abs(fmean(loss for _, loss in before)):
        return entries
    if half := count // 2:
        before, last = last[:half], last[-half:]
    fall = _fall(before, last)
    distance = fmean(place for place, _ in last) - fmean(place for place, _ in before)
    if distance > 0 and fall > 0:
        entries["still_falling"] = fall / distance
        entries["still_falling_each"] = "epoch" if "epoch" in events[-1] else "iteration"
    return entries


def _fall(before: Sequence[tuple[float, float]], after: Sequence[tuple[float, float]]) -> float:
    """Return by how much the mean loss fell between two parts of the looks (place, loss)."""
    return fmean(loss for _, loss in before) - fmean(loss for _, loss in after)


def _place(event: Mapping[str, Any]) -> float:
    return float(event.get("epoch", event["iteration"]))


def describe_ending(result: Mapping[str, Any]) -> str:
    """Return a line for the user if the loss was still falling at the end; "" otherwise."""
    fall = result.get("still_falling")
    if fall is None:
        return ""
    limit = result["ended_by"]
    # Where steps are annealed towards the end, another end is another run.
    advice = (
        "the same command with a higher one goes on"
        if limit in EXTENDABLE
        else "a run of another name with a higher one may end lower"
    )
    return (
        f"stopped by {limit} while the held-out loss was still falling {fall:.2g} an "
        f"{result['still_falling_each']}: {advice}"
    )
