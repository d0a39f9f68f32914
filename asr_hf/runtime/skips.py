"""Skipped utterances: counted, listed, and bounded by a limit that stops the run."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from asr_hf.runtime.errors import InputError

log = logging.getLogger(__name__)


@dataclass
class SkipList:
    """The utterances one stage left out, and why.

    Args:
        stage: what was being done, for messages ("feature extraction").
        limit: the largest share of utterances that may be skipped, in [0, 1].
    """

    stage: str
    limit: float = 0.05
    reasons: dict[str, str] = field(default_factory=dict)

    def add(self, utterance: str, reason: str) -> None:
        """Leave `utterance` out because of `reason`."""
        self.reasons[utterance] = reason
        log.warning("%s: skipped %s: %s", self.stage, utterance, reason)

    def check(self, total: int) -> None:
        """Say what was skipped out of `total` utterances.

        Raises:
            InputError: more than the limit was skipped, or nothing is left.
        """
        count = len(self.reasons)
        if not count:
            return
        listed = "\n".join(f"    {name}: {why}" for name, why in list(self.reasons.items())[:20])
        more = f"\n    ... and {count - 20} more" if count > 20 else ""
        if count > self.limit * total or count >= total:
            raise InputError(
                f"{self.stage}: {count} of {total} utterances had to be skipped:\n{listed}{more}",
                expected=f"at most {self.limit:.1%} skipped",
                remedy="mend the utterances above, or raise max_skipped",
            )
        log.warning("%s: %d of %d utterances skipped", self.stage, count, total)
