"""Skipped utterances: counted, grouped by cause, and bounded by a limit that stops the run."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from asr_hf.runtime.errors import InputError

log = logging.getLogger(__name__)

# Causes and, of each, utterances that a message names.
_MAX_CAUSES, _MAX_NAMES = 20, 3
# What differs between utterances that are skipped for one cause: paths, names and numbers.
_OWN = re.compile(r"\S*/\S+|\d+(\.\d+)?")


@dataclass
class SkipList:
    """The utterances one stage left out, and why.

    Args:
        stage: what was being done, for messages ("feature extraction").
        limit: the largest share of utterances that may be skipped, in [0, 1].
        key: the configuration key of the limit, for messages ("features.max_skipped").
        reasons: by utterance.
        told: utterances that the log has named already, here or in the stage before.
    """

    stage: str
    limit: float = 0.05
    key: str = ""
    reasons: dict[str, str] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)

    def add(self, utterance: str, reason: str) -> None:
        """Leave `utterance` out because of `reason`."""
        self.reasons[utterance] = reason
        log.debug("%s: skipped %s: %s", self.stage, utterance, reason)

    def check(self, total: int) -> None:
        """Say what was skipped out of `total` utterances and has not been said yet.

        Raises:
            InputError: more than the limit was skipped, or nothing is left.
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
        new = {name: why for name, why in self.reasons.items() if name not in self.told}
        if new:
            more = " more" if len(new) < count else ""
            what = f"{len(new)}{more} of {total} utterances skipped"
            log.warning("%s: %s:\n%s", self.stage, what, _listed(new))
        self.told |= new.keys()


def _listed(reasons: Mapping[str, str]) -> str:
    """Return the causes, the most frequent first, each with the first utterances it holds for."""
    groups: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        groups.setdefault(_OWN.sub("…", reason.replace(name, "…")), []).append(name)
    ordered = sorted(groups.values(), key=len, reverse=True)
    lines = [_group(names, reasons) for names in ordered[:_MAX_CAUSES]]
    if len(ordered) > _MAX_CAUSES:
        rest = sum(map(len, ordered[_MAX_CAUSES:]))
        lines.append(f"    ... and {rest} more for other causes")
    return "\n".join(lines)


def _group(names: list[str], reasons: Mapping[str, str]) -> str:
    """Return utterances that were skipped for one cause, which is shown as the first one has it."""
    first = names[0]
    line = f"    {first}: {reasons[first].removeprefix(f'{first}: ')}"
    if len(names) == 1:
        return line
    shown = ", ".join(names[1:_MAX_NAMES])
    rest = len(names) - _MAX_NAMES
    return f"{line}; likewise {shown}" + (f" and {rest} more" if rest > 0 else "")
