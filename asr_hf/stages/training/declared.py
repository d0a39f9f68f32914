"""What the criterion and the optimiser of a configuration say that they need."""

from __future__ import annotations

from asr_hf.criteria.needs import CriterionNeeds
from asr_hf.hf.needs import OptimiserNeeds
from asr_hf.runtime.declared import declared
from asr_hf.runtime.own_code import find_class
from asr_hf.settings.component import Component


def criterion_needs(criterion: Component) -> CriterionNeeds:
    """Find out what the class of a criterion needs.

    Args:
        criterion: component of the group `criterion`.

    Returns:
        Its needs.

    Raises:
        InputError: there is no such class, or its attribute `needs` is something else.
    """
    return declared(find_class(criterion.target, "criterion._target_"), CriterionNeeds())


def optimiser_needs(trainer: Component) -> OptimiserNeeds:
    """Find out what the class of an optimiser needs.

    Args:
        trainer: component of the group `trainer`.

    Returns:
        Its needs.

    Raises:
        InputError: there is no such class, or its attribute `needs` is something else.
    """
    return declared(find_class(trainer.target, "trainer._target_"), OptimiserNeeds())
