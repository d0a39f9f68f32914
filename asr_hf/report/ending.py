"""Why a run ended, and whether it could have gone on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

# Most looks at the held-out loss on each side of a comparison, and the relative fall of its mean
# from one to the other below which a run has converged (as trainer.stopping.min_improvement).
_LOOKS, _LEAST = 10, 1e-3


def ending(events: Sequence[Mapping[str, Any]], limit: str) -> dict[str, Any]:
    """Return what result.json says of a run's end.

    The loss was still falling where its mean over the last looks is lower than that over as many
    before them by a thousandth; what it fell by each iteration (epoch, where there are such) is the
    difference of the means over their distance.

    Args:
        events: of the run, the start's among them.
        limit: the setting that ended it; empty where it ended by itself.
    """
    if not limit:
        return {"ended_by": "convergence"}
    looks = [(_place(e), e["heldout_loss"]) for e in events if e.get("heldout_loss") is not None]
    count = min(_LOOKS, len(looks) // 2)
    found: dict[str, Any] = {"ended_by": limit}
    if not count:
        return found
    before, last = looks[-2 * count : -count], looks[-count:]
    fall = fmean(loss for _, loss in before) - fmean(loss for _, loss in last)
    distance = fmean(place for place, _ in last) - fmean(place for place, _ in before)
    if distance > 0 and fall > _LEAST * abs(fmean(loss for _, loss in before)):
        found["still_falling"] = fall / distance
        found["still_falling_each"] = "epoch" if "epoch" in events[-1] else "iteration"
    return found


def _place(event: Mapping[str, Any]) -> float:
    return float(event.get("epoch", event["iteration"]))


def describe_ending(result: Mapping[str, Any]) -> str:
    """Return one line for people where a run could have gone on; empty elsewhere."""
    fall = result.get("still_falling")
    if fall is None:
        return ""
    return (
        f"stopped by {result['ended_by']} while the held-out loss was still falling {fall:.2g} an "
        f"{result['still_falling_each']}: the same command with a higher one goes on"
    )
