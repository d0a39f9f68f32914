"""The end of a run, and how far it has come towards it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Horizon:
    """The end of a run, towards which its steps are annealed.

    Args:
        epochs: passes over the training frames.
        seconds: seconds of training; they take the place of `epochs` where they are given. The
            steps of a run then depend on the speed of the machine.
    """

    epochs: float = 8.0
    seconds: float | None = None

    def __post_init__(self) -> None:
        if not self.epochs > 0 or (self.seconds is not None and not self.seconds > 0):
            raise ValueError("trainer.horizon: needs epochs > 0 and seconds > 0 or null")

    def progress(self, epochs: float, seconds: float) -> float:
        """Return the share of the run that is over, given its epochs and seconds so far."""
        share = epochs / self.epochs if self.seconds is None else seconds / self.seconds
        return min(1.0, share)

    @property
    def key(self) -> str:
        """The setting that ends a run."""
        return "trainer.horizon." + ("epochs" if self.seconds is None else "seconds")
