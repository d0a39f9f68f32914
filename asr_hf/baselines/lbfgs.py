"""Full-batch L-BFGS: torch's implementation, one iteration a step, resumable."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from asr_hf.baselines.objective import CountingObjective, whole
from asr_hf.hf.memory import MemoryNeed, ProblemSize
from asr_hf.hf.objective import Split
from asr_hf.hf.pass_cost import PassCost
from asr_hf.hf.state import State, nest, nested
from asr_hf.runtime.clock import PhaseClock
from asr_hf.runtime.errors import InputError, RunError

_LINE_SEARCH_EVALUATIONS = 25
_REMEMBERED = 4


@dataclass(frozen=True)
class _Evaluation:
    """Mean loss and its gradient [n] at θ [n]."""

    theta: Tensor
    loss: float
    gradient: Tensor


class LBFGS:
    """`torch.optim.LBFGS` with a strong-Wolfe line search on the whole training data.

    torch evaluates the loss anew where the last line search ended; we remember what that search
    has evaluated already, which saves a pass over the data in every iteration.

    Args:
        objective: the loss.
        theta: the start [n]; not written to.
        history_size: number of pairs kept; each takes 2 n numbers.
        max_iterations: bound on the number of iterations.
        tolerance_gradient: bound on the entries of the mean gradient below which training ends.
        learning_rate: step length that each line search tries first.

    Raises:
        InputError: a setting is out of range.
    """

    name = "lbfgs"

    def __init__(
        self,
        *,
        objective: CountingObjective,
        theta: Tensor,
        history_size: int = 20,
        max_iterations: int = 100,
        tolerance_gradient: float = 1e-7,
        learning_rate: float = 1.0,
    ) -> None:
        if history_size < 1 or learning_rate <= 0.0:
            raise InputError(
                f"trainer: history_size {history_size}, learning_rate {learning_rate}",
                expected="both positive",
            )
        self.objective, self.theta = objective, theta.detach().clone()
        self.max_iterations, self.history_size = max_iterations, history_size
        self.iteration = 0
        self.converged = False
        self._train = whole(objective, Split.TRAIN)
        self._evaluations: deque[_Evaluation] = deque(maxlen=_REMEMBERED)
        self._optimiser = torch.optim.LBFGS(
            [self.theta],
            lr=learning_rate,
            max_iter=1,
            max_eval=1 + _LINE_SEARCH_EVALUATIONS,
            tolerance_grad=tolerance_gradient,
            history_size=history_size,
            line_search_fn="strong_wolfe",
        )

    @property
    def estimate(self) -> Tensor:
        """The parameters found so far [n]."""
        return self.theta

    @property
    def finished(self) -> bool:
        """Whether training has ended."""
        return self.converged or self.iteration >= self.max_iterations

    @property
    def limit(self) -> str:
        """The setting that ended training; empty while it goes on, or where it converged."""
        return "trainer.max_iterations" if self.finished and not self.converged else ""

    def memory(self, size: ProblemSize) -> MemoryNeed:
        """Return the memory of the pairs, of torch's vectors and of the remembered points."""
        return MemoryNeed(size.vectors(2 * self.history_size + 6 + 2 * _REMEMBERED))

    @property
    def seconds_given(self) -> None:
        """It ends by its iterations."""
        return None

    def pass_costs(self) -> list[PassCost]:
        """Return the passes of each iteration: a gradient, two in every other line search."""
        frames = int(self.objective.unit_frames(Split.TRAIN).sum())
        return [PassCost(frames * 3 // 2, 0)] * self.max_iterations

    def step(self) -> dict[str, Any]:
        """Run one iteration and return its event, with the training loss after it.

        Returns:
            The event.

        Raises:
            RunError: the training loss is not finite.
        """
        clock = PhaseClock(self.objective.device)
        before = self.theta.clone()
        with clock.phase("training"):
            self._optimiser.step(self._closure)  # type: ignore[no-untyped-call]
            self.theta.grad = None
            here = self._evaluate()
        if not math.isfinite(here.loss):
            raise RunError(
                f"lbfgs: the training loss is {here.loss} in iteration {self.iteration + 1}",
                remedy="check the features for outliers, or lower trainer.learning_rate",
            )
        moved = not torch.equal(before, self.theta)
        self._evaluations.clear()
        self._evaluations.append(here)
        self.converged = not moved
        self.iteration += 1
        return {
            "iteration": self.iteration,
            "optimiser": self.name,
            "train_loss": here.loss,
            "learning_rate": float(self._state.get("t", 0.0)),
            "accepted": moved,
            "phase_seconds": clock.seconds,
        }

    @property
    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = self._optimiser.state[self.theta]
        return state

    def _closure(self) -> float:
        here = self._evaluate()
        self.theta.grad = here.gradient
        return here.loss

    def _evaluate(self) -> _Evaluation:
        """Return the loss and gradient at θ, remembered or computed."""
        for known in self._evaluations:
            if torch.equal(known.theta, self.theta):
                return known
        theta = self.theta.clone()
        loss, gradient = self.objective.gradient(theta, self._train)
        here = _Evaluation(theta, loss.mean, gradient.div(max(1, loss.num_frames)))
        self._evaluations.append(here)
        return here

    def state_dict(self) -> State:
        """Return everything that the next iteration depends on."""
        tensors, values = _encode(self._state)
        tensors["theta"] = self.theta
        if self._evaluations:
            (here,) = self._evaluations
            tensors["gradient"], values["loss"] = here.gradient, here.loss
        values |= {"iteration": self.iteration, "converged": self.converged}
        return {"tensors": tensors, "values": values}

    def load_state_dict(self, state: State) -> None:
        """Restore what `state_dict` returned."""
        values = state["values"]
        tensors = {k: v.to(self.theta.device, copy=True) for k, v in state["tensors"].items()}
        self.theta.copy_(tensors["theta"])
        self.iteration, self.converged = values["iteration"], values["converged"]
        self._evaluations.clear()
        if "gradient" in tensors:
            self._evaluations.append(
                _Evaluation(tensors["theta"], values["loss"], tensors["gradient"])
            )
        self._optimiser.state[self.theta] = _decode(tensors, values)


def _encode(state: dict[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Part torch's state in tensors and JSON values; lists are spelt out and their lengths kept."""
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, float] = {}
    lengths: dict[str, int] = {}
    for key, value in state.items():
        if key == "al":
            continue  # scratch space of the two-loop recursion
        if isinstance(value, list):
            lengths[key] = len(value)
            tensors |= nest(key, {str(i): item for i, item in enumerate(value)})
        elif isinstance(value, Tensor):
            tensors[key] = value
        else:
            numbers[key] = value
    return nest("state", tensors), {"numbers": numbers, "lengths": lengths}


def _decode(tensors: dict[str, Tensor], values: dict[str, Any]) -> dict[str, Any]:
    """Undo `_encode`."""
    state: dict[str, Any] = dict(values["numbers"])
    inner = nested("state", tensors)
    for key, length in values["lengths"].items():
        state[key] = [inner[f"{key}.{i}"] for i in range(length)]
    return state | {key: tensor for key, tensor in inner.items() if "." not in key}
