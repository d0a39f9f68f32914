"""What the criterion and the optimiser of a configuration say that they need."""

from __future__ import annotations

from omegaconf import DictConfig

from asr_hf.criteria.needs import CriterionNeeds
from asr_hf.hf.needs import OptimiserNeeds
from asr_hf.runtime.declared import declared
from asr_hf.runtime.own_code import find_class


def criterion_needs(config: DictConfig) -> CriterionNeeds:
    """What the class of `criterion` needs.

    Raises:
        InputError: there is no such class, or its attribute `needs` is something else.
    """
    return declared(
        find_class(str(config.criterion._target_), "criterion._target_"), CriterionNeeds()
    )


def optimiser_needs(config: DictConfig) -> OptimiserNeeds:
    """What the class of `trainer` needs.

    Raises:
        InputError: there is no such class, or its attribute `needs` is something else.
    """
    return declared(find_class(str(config.trainer._target_), "trainer._target_"), OptimiserNeeds())
