"""What the optimisers of modules share."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from asr_hf.hf.state import State
from asr_hf.optim.examples import Data
from asr_hf.optim.problem import Problem
from asr_hf.runtime.errors import InputError


class _Loop(Protocol):
    @property
    def estimate(self) -> Tensor: ...

    def step(self) -> dict[str, Any]: ...

    def state_dict(self) -> State: ...

    def load_state_dict(self, state: State) -> None: ...


class ModuleOptimiser:
    """What the optimisers of this room share.

    Args:
        problem: the module, its loss and its data.
        loop: minimises it; made for the problem's objective and parameters.
    """

    def __init__(self, problem: Problem, loop: _Loop) -> None:
        self._problem, self._loop = problem, loop

    def _stepped(self) -> dict[str, Any]:
        """Take one step of the loop, leave the result in the module, and return the event."""
        self._problem.before_step()
        event = self._loop.step()
        self._problem.write(self._loop.estimate)
        return event

    def evaluate(self, data: Data | None = None) -> float:
        """Return the mean loss in evaluation mode of some data, or of the held-out data."""
        return self._problem.evaluate(data)

    def state_dict(self) -> State:
        """Return everything that the next step depends on, the module's parameters included.

        The tensors are the optimiser's own, as those of torch.optim: copy what is to be kept while
        it goes on. torch.load reads a saved state with weights_only=True.

        Returns:
            {"tensors": ..., "values": ...}.
        """
        return self._problem.with_statistics(self._loop.state_dict())

    def load_state_dict(self, state: State) -> None:
        """Restore what `state_dict` returned, in the optimiser and in the module."""
        self._loop.load_state_dict(state)
        self._problem.restore_statistics(state)
        self._problem.write(self._loop.estimate)


def refused(error: ValueError) -> InputError:
    """Return what a part says of its settings, without the names that `conf/` gives them."""
    text = str(error)
    for group in ("trainer.", "trainer: "):
        text = text.replace(group, "")
    return InputError(text)
