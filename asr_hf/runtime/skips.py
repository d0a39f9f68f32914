"""Skipped utterances: counted, grouped by cause, and bounded by a limit that stops the run."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field

from asr_hf.runtime.errors import InputError

log = logging.getLogger(__name__)

# Causes and, of each, utterances that a message names.
_MOST_CAUSES, _MOST_NAMES = 20, 3
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
    """

    stage: str
    limit: float = 0.05
    key: str = ""
    reasons: dict[str, str] = field(default_factory=dict)

    def add(self, utterance: str, reason: str) -> None:
        """Leave `utterance` out because of `reason`."""
        self.reasons[utterance] = reason
        log.debug("%s: skipped %s: %s", self.stage, utterance, reason)

    def check(self, total: int) -> None:
        """Say what was skipped out of `total` utterances.

        Raises:
            InputError: more than the limit was skipped, or nothing is left.
        """
        count = len(self.reasons)
        if not count:
            return
        if count > self.limit * total or count >= total:
            raise InputError(
                f"{self.stage}: {count} of {total} utterances had to be skipped:\n{self.listed()}",
                expected=f"at most {self.limit:.1%} skipped",
                remedy="mend the utterances above" + (f", or raise {self.key}" if self.key else ""),
            )
        log.warning("%s: %d of %d utterances skipped:\n%s", self.stage, count, total, self.listed())

    def listed(self) -> str:
        """The causes, the most frequent first, each with the first utterances it holds for."""
        groups: dict[str, list[str]] = {}
        for name, reason in self.reasons.items():
            groups.setdefault(_OWN.sub("…", reason.replace(name, "…")), []).append(name)
        ordered = sorted(groups.values(), key=len, reverse=True)
        lines = [self._group(names) for names in ordered[:_MOST_CAUSES]]
        if len(ordered) > _MOST_CAUSES:
            rest = sum(map(len, ordered[_MOST_CAUSES:]))
            lines.append(f"    ... and {rest} more for other causes")
        return "\n".join(lines)

    def _group(self, names: list[str]) -> str:
        first = names[0]
        reason = self.reasons[first].removeprefix(f"{first}: ")
        if len(names) == 1:
            return f"    {first}: {reason}"
        shown = ", ".join(names[:_MOST_NAMES])
        more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
        return f"    {len(names)} for one cause, {shown}{more}; {first}: {reason}"
