"""Optimisers of the package pytorch_optimizer as trainers: SOAP, Shampoo, schedule-free AdamW."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from asr_hf.baselines.minibatch import MinibatchTrainer
from asr_hf.baselines.parameters import ParameterPlace, ParameterViews, decayed_groups
from asr_hf.baselines.update import Update
from asr_hf.runtime.own_code import find_class

# Where a value of an optimiser's state stands: what holds it, and its key or number in that.
Slot = tuple[Any, Any]


class LibraryOptimiser(MinibatchTrainer):
    """Any optimiser class on views of θ; the estimate is what its `eval` leaves in them.

    Args:
        optimiser: full name of the class.
        options: arguments of the class beside parameters, learning rate and weight decay.
        settings: arguments of `MinibatchTrainer`.
    """

    name = "library"
    # SOAP's two moments and the factors of square matrices; others take less.
    state_vectors = 7

    def __init__(
        self, *, optimiser: str, options: Mapping[str, Any] | None = None, **settings: Any
    ) -> None:
        self._class = find_class(optimiser, "trainer.optimiser")
        self.options = {
            key: tuple(value)
            if isinstance(value, Sequence) and not isinstance(value, str)
            else value
            for key, value in (options or {}).items()
        }
        super().__init__(**settings)
        self.name = optimiser.rpartition(".")[2].lower()
        self.update = self._library_update

    def make_optimisers(self, views: ParameterViews) -> list[torch.optim.Optimizer]:
        """Return the library's optimiser of all parameters."""
        weights = [*views.hidden, *views.other_weights]
        groups = decayed_groups(weights, views.biases, weight_decay=self.weight_decay)
        self._optimiser = self._class(groups, lr=self.learning_rate, **self.options)
        places = tuple(self.objective.parameters)
        self._library_update = LibraryUpdate(views, places, self._optimiser, self.theta)
        return [self._optimiser]

    @property
    def estimate(self) -> Tensor:
        """The parameters found so far [n]; schedule-free methods evaluate at another place."""
        groups = [g for g in self._optimiser.param_groups if "train_mode" in g]
        if not groups:
            return super().estimate
        iterate = self.theta.clone()
        self._optimiser.eval()
        found = self.theta.clone()
        self.theta.copy_(iterate)
        for group in groups:
            group["train_mode"] = True
        return found


class LibraryUpdate(Update):
    """An update whose optimiser keeps lists, numbers and objects beside tensors.

    Args:
        views: the parameters, views of θ.
        places: their places in θ.
        optimiser: optimiser of the views.
        theta: θ [n].
    """

    def __init__(
        self,
        views: ParameterViews,
        places: tuple[ParameterPlace, ...],
        optimiser: torch.optim.Optimizer,
        theta: Tensor,
    ) -> None:
        super().__init__(views, places, [optimiser])
        self._optimiser, self._theta = optimiser, theta

    def state_tensors(self) -> dict[str, Tensor]:
        """Return the state by number in the order of a walk; numbers as tensors [].

        Matrices that lie column by column are saved as their transposes, so that products with
        them have the same bits afterwards.
        """
        tensors: dict[str, Tensor] = {}
        for n, slot in enumerate(self._slots() if self._optimiser.state else []):
            value = _get(slot)
            if not isinstance(value, Tensor):
                tensors[str(n)] = torch.tensor(float(value), dtype=torch.float64)
            elif value.is_contiguous():
                tensors[str(n)] = value.clone()
            else:
                tensors[f"{n}.transposed"] = value.mT.contiguous()
        return tensors

    def load_state_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore what `state_tensors` returned, into what a first step on no gradient makes."""
        self.forget()
        if not tensors:
            return
        theta = self._theta.clone()
        self.step(torch.zeros_like(theta), 0.0)
        self._theta.copy_(theta)
        for n, slot in enumerate(self._slots()):
            value, saved = _get(slot), tensors.get(str(n))
            if saved is None:
                _set(slot, tensors[f"{n}.transposed"].to(self._theta.device, copy=True).mT)
            elif isinstance(value, Tensor):
                _set(slot, saved.to(value.device, copy=True))
            else:
                _set(slot, type(value)(saved.item()))

    def _slots(self) -> list[Slot]:
        """Where tensors and numbers of the state stand, of parameters first, then of groups."""
        parameters = [p for group in self._optimiser.param_groups for p in group["params"]]
        slots = [s for p in parameters for s in _walk(self._optimiser.state.get(p, {}))]
        for group in self._optimiser.param_groups:
            slots += _walk({k: v for k, v in group.items() if k != "params"}, group)
        return slots


def _walk(values: Any, holder: Any = None) -> Iterator[Slot]:
    """Yield the slots of tensors and numbers in a structure, in an order that follows from it."""
    holder = values if holder is None else holder
    for key, value in enumerate(values) if isinstance(values, list) else values.items():
        if isinstance(value, Tensor | float | int):
            yield holder, key
        elif isinstance(value, list | dict):
            yield from _walk(value)
        elif type(value).__module__.startswith("pytorch_optimizer"):
            yield from _walk(vars(value))


def _get(slot: Slot) -> Any:
    holder, key = slot
    return holder[key]


def _set(slot: Slot, value: Any) -> None:
    holder, key = slot
    holder[key] = value
