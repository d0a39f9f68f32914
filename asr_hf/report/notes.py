"""Says in words what follows from a run's losses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from asr_hf.report.ending import describe_ending
from asr_hf.report.run_data import RunData, number

# The largest number of losses in a mean, and the fewest that notes are made from.
_MOST, _FEWEST = 10, 6
# The most iterations that a note names.
_LISTED = 5
# What is worth a note: the relative rise of the held-out loss over its lowest, the gap's share of
# the held-out loss, and the gap's growth.
_RISE, _GAP, _GROWTH = 0.01, 0.1, 1.25


@dataclass(frozen=True)
class _Look:
    """The losses after an iteration."""

    iteration: int
    train: float
    heldout: float


def notes(run: RunData) -> list[str]:
    """Return what a user may want to act on, a sentence or two each.

    There are four cases. A run was stopped while its loss was still falling. A run diverged in some
    iterations and took their steps back. The held-out loss rose again: the mean of the last looks
    is a hundredth above the lowest mean of as many. The gap between held-out and training loss
    grew: from the middle of the run to its last looks by a quarter, and to a tenth of the held-out
    loss.

    Args:
        run: the run, finished or not.

    Returns:
        The notes, as plain text.
    """
    found = []
    if ending := describe_ending(run.result):
        found.append(f"{ending[0].upper()}{ending[1:]}.")
    if diverged := [int(event["iteration"]) for event in run.steps if event.get("diverged")]:
        found.append(_diverged(diverged))
    looks = _looks(run)
    if len(looks) >= _FEWEST and (gap := _rise(looks) or _gap(looks)):
        found.append(gap)
    return found


def _diverged(iterations: Sequence[int]) -> str:
    listed = ", ".join(map(str, iterations[:_LISTED]))
    more = f" and {len(iterations) - _LISTED} others" if len(iterations) > _LISTED else ""
    return (
        f"Steps were too long in iteration {listed}{more}. They were taken back, and shorter ones "
        "followed. If it happens often, raise trainer.damping."
    )


def _looks(run: RunData) -> list[_Look]:
    found = []
    for event in run.steps:
        train, heldout = number(event, "train_loss"), number(event, "heldout_loss")
        if train is not None and heldout is not None:
            found.append(_Look(int(event["iteration"]), train, heldout))
    return found


def _rise(looks: Sequence[_Look]) -> str:
    """Describe how the held-out loss rose after its lowest value; "" if it did not."""
    best = min(looks, key=lambda look: look.heldout)
    count = min(_MOST, len(looks) // 3)
    means = [
        fmean(look.heldout for look in looks[n : n + count]) for n in range(len(looks) - count + 1)
    ]
    if means[-1] - min(means) <= _RISE * abs(min(means)):
        return ""
    last = looks[-1]
    rose = f"the held-out loss rose from {best.heldout:.4f} after iteration {best.iteration} to "
    rose += f"{last.heldout:.4f} after iteration {last.iteration}"
    kept = f"The parameters of iteration {best.iteration} are kept."
    if fmean(look.train for look in looks[-count:]) < best.train:
        fell = f"the training loss fell from {best.train:.4f} to {last.train:.4f}"
        return f"Over-fitting: {rose}, while {fell}. {kept}"
    return f"{rose[0].upper()}{rose[1:]}. {kept}"


def _gap(looks: Sequence[_Look]) -> str:
    """Describe how the gap of the losses grew; "" if it did not."""
    count = min(_MOST, len(looks) // 3)
    middle = looks[(len(looks) - count) // 2 :][:count]
    before, after = (
        fmean(look.heldout - look.train for look in part) for part in (middle, looks[-count:])
    )
    if after < _GAP * abs(fmean(look.heldout for look in looks[-count:])):
        return ""
    if after < _GROWTH * before:
        return ""
    first, last = middle[0].iteration, looks[-1].iteration
    return (
        f"The gap between the losses grew. Around iteration {first} the held-out loss was "
        f"{before:.3g} above the training loss; at iteration {last} it is {after:.3g} above. More "
        "data, model.dropout or trainer.weight_decay may narrow the gap."
    )
