"""How many gradient steps iterations have, and how steps grow at the start of a run."""

from __future__ import annotations

from dataclasses import dataclass

# Share of a short run after which the warm-up is over, whatever its steps.
_LONGEST = 0.1


@dataclass(frozen=True)
class WarmUp:
    """The gradient steps of iterations, of which the first have fewer and shorter ones.

    Args:
        most: gradient steps of an iteration; the first iterations, in which the curvature changes
            fast, have 1, 2, 4, ... of them.
        growing: number of gradient steps in which they grow to their length, while factors and α
            catch up with the curvature; a tenth of the run at most.
    """

    most: int
    growing: int

    def steps(self, iteration: int) -> int:
        """Return the number of gradient steps of an iteration."""
        return min(self.most, 1 << min(iteration, 30))

    def factor(self, iteration: int, number: int, progress: float) -> float:
        """Return the factor of the length of an iteration's step; 1 after the warm-up.

        Args:
            iteration: number of iterations before this one.
            number: number of its steps before this one.
            progress: share of the run that is over.
        """
        if not self.growing:
            return 1.0
        taken = self._before(iteration) + number
        return min(1.0, max((taken + 1) / self.growing, progress / _LONGEST))

    def _before(self, iteration: int) -> int:
        """Return the number of gradient steps of all iterations before one."""
        shorter = min(iteration, (self.most - 1).bit_length())
        return (1 << shorter) - 1 + self.most * (iteration - shorter)
