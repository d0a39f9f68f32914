"""Reads what the classes of the criterion and the optimiser declare that they need."""

from __future__ import annotations

from asr_hf.criteria.needs import CriterionNeeds
from asr_hf.hf.needs import OptimiserNeeds
from asr_hf.runtime.declared import declared
from asr_hf.runtime.own_code import find_class
from asr_hf.settings.component import Component


def criterion_needs(criterion: Component) -> CriterionNeeds:
    """Return what the class of a criterion declares that it needs.

    Args:
        criterion: component of the group `criterion`.

    Raises:
        InputError: there is no such class, or its attribute `needs` has another type.
    """
    return declared(find_class(criterion.target, "criterion._target_"), CriterionNeeds())


def optimiser_needs(trainer: Component) -> OptimiserNeeds:
    """Return what the class of an optimiser declares that it needs.

    Args:
        trainer: component of the group `trainer`.

    Raises:
        InputError: there is no such class, or its attribute `needs` has another type.
    """
    return declared(find_class(trainer.target, "trainer._target_"), OptimiserNeeds())
