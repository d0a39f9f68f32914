"""Skipped utterances: how many there are, why, and the limit beyond which a stage stops."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from asr_hf.runtime.errors import InputError

log = logging.getLogger(__name__)

# A message names so many causes, and so many utterances for each.
_MAX_CAUSES, _MAX_NAMES = 20, 3
# Paths and numbers, which differ between utterances that are skipped for the same cause.
_PARTICULARS = re.compile(r"\S*/\S+|\d+(\.\d+)?")


@dataclass
class SkipList:
    """The utterances that one stage left out, and why.

    Args:
        stage: work that was being done, for messages ("feature extraction").
        limit: largest share of utterances that may be skipped, in [0, 1].
        key: configuration key of the limit, for messages ("features.max_skipped").
        reasons: reason for each skipped utterance.
        logged: utterances that the log has named already, in this stage or the one before.
    """

    stage: str
    limit: float = 0.05
    key: str = ""
    reasons: dict[str, str] = field(default_factory=dict)
    logged: set[str] = field(default_factory=set)

    def add(self, utterance: str, reason: str) -> None:
        """Note that an utterance is left out, and why."""
        self.reasons[utterance] = reason
        log.debug("%s: skipped %s: %s", self.stage, utterance, reason)

    def check(self, total: int) -> None:
        """Log what was skipped of `total` utterances and has not been logged yet.

        Raises:
            InputError: more than the limit was skipped, or no utterance is left.
        """
        count = len(self.reasons)
        if not count:
            return
        if count > self.limit * total or count >= total:
            raise InputError(
                f"{self.stage}: {count} of {total} utterances had to be skipped:\n"
                + _listed(self.reasons),
                expected=f"at most {self.limit:.1%} skipped",
                remedy="mend the utterances above" + (f", or raise {self.key}" if self.key else ""),
            )
        new = {name: why for name, why in self.reasons.items() if name not in self.logged}
        if new:
            more = " more" if len(new) < count else ""
            what = f"{len(new)}{more} of {total} utterances skipped"
            log.warning("%s: %s:\n%s", self.stage, what, _listed(new))
        self.logged |= new.keys()


def _listed(reasons: Mapping[str, str]) -> str:
    """Return the causes, the most frequent first, each with its first utterances."""
    groups: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        groups.setdefault(_PARTICULARS.sub("…", reason.replace(name, "…")), []).append(name)
    ordered = sorted(groups.values(), key=len, reverse=True)
    lines = [_group(names, reasons) for names in ordered[:_MAX_CAUSES]]
    if len(ordered) > _MAX_CAUSES:
        rest = sum(map(len, ordered[_MAX_CAUSES:]))
        lines.append(f"    ... and {rest} more for other causes")
    return "\n".join(lines)


def _group(names: list[str], reasons: Mapping[str, str]) -> str:
    """Return the line for utterances that were skipped for one cause, in the first one's words."""
    first = names[0]
    line = f"    {first}: {reasons[first].removeprefix(f'{first}: ')}"
    if len(names) == 1:
        return line
    shown = ", ".join(names[1:_MAX_NAMES])
    rest = len(names) - _MAX_NAMES
    return f"{line}; likewise {shown}" + (f" and {rest} more" if rest > 0 else "")
