"""What is done to an utterance's audio before its features are computed."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Alteration:
    """Another speed and level of an utterance's audio.

    Args:
        of: name of the utterance as it was recorded; the utterance's own unless it is a copy.
        speed: factor of the speed, of time and pitch together.
        gain: factor of the amplitude.
    """

    of: str
    speed: float = 1.0
    gain: float = 1.0

    @property
    def log_energy(self) -> float:
        """What the gain adds to every log energy."""
        return 2 * math.log(self.gain)
