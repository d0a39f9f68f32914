"""Criteria and optimisers say what they need; nothing else is asked of their classes."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace

import pytest

from asr_hf.baselines.sgd import SGD
from asr_hf.cli.check import check_targets
from asr_hf.cli.compose import load_config
from asr_hf.cli.groups import groups
from asr_hf.criteria.cross_entropy import CrossEntropy
from asr_hf.criteria.mmi import MaximumMutualInformation
from asr_hf.criteria.needs import CriterionNeeds, Targets
from asr_hf.hf.needs import OptimiserNeeds
from asr_hf.hf.objective import Split
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.own_code import find_class, parameters_of
from asr_hf.stages.train import share
from asr_hf.stages.training.declared import criterion_needs, optimiser_needs
from asr_hf.stages.training.initial_model import inherit_settings
from asr_hf.stages.training.targets import open_targets
from asr_hf.training.feeding.targets import LabelTargets

from ...typed import typed


class Weighted(CrossEntropy):
    """Declares nothing, and has a setting that sounds like one of sequences."""

    def __init__(self, acoustic_scale: float | None = None) -> None:
        self.acoustic_scale = acoustic_scale


class OverLattices(CrossEntropy):
    """Asks for lattices without a scale of its own, and may start from nothing."""

    needs = CriterionNeeds(Targets.LATTICES)


class Continued(CrossEntropy):
    """Asks for labels alone, and for a trained model."""

    needs = CriterionNeeds(starting_model=True)


class Scaled(Weighted):
    """Asks for a scale, and may start from nothing."""

    needs = CriterionNeeds(acoustic_scale=True)


class Boosted(MaximumMutualInformation):
    """Inherits what it needs."""


class Mistaken(CrossEntropy):
    needs = "lattices"


class Plain:
    """An optimiser that declares nothing."""


class Mine(SGD):
    """Inherits what it needs."""


class Entrywise:
    needs = OptimiserNeeds(whole_vectors=False)


class MistakenTrainer:
    needs = CriterionNeeds()


@pytest.fixture(autouse=True)
def named(monkeypatch):
    """This module, as a configuration names it."""
    monkeypatch.setitem(sys.modules, "mine.needs", sys.modules[__name__])


def config(*overrides, criterion=None, trainer=None, **settings):
    composed = load_config(["+recipe=prompts", *overrides])
    if criterion is not None:
        composed.criterion = {"_target_": f"mine.needs.{criterion.__name__}", **settings}
    if trainer is not None:
        composed.trainer = {"_target_": f"mine.needs.{trainer.__name__}"}
    return composed


@pytest.mark.parametrize("option", groups()["criterion"])
def test_our_criteria_declare_the_settings_and_targets_that_they_have(option):
    made = config(f"criterion={option}")
    needs = criterion_needs(typed(made).criterion)
    settings = parameters_of(find_class(made.criterion._target_, "criterion"))
    assert needs.acoustic_scale == ("acoustic_scale" in settings)
    assert needs.starting_model == (needs.targets is Targets.LATTICES)
    assert (needs.targets is not Targets.LABELS) == (option in groups()["stage"])


@pytest.mark.parametrize("option", groups()["trainer"])
def test_our_optimisers_declare_how_they_go_through_the_data(option):
    made = config(f"trainer={option}")
    needs = optimiser_needs(typed(made).trainer)
    settings = parameters_of(find_class(made.trainer._target_, "trainer"))
    assert needs.minibatches == ("batch_frames" in settings)
    # What divides vectors is told of their space by its preconditioner.
    assert needs.whole_vectors == ("preconditioner" not in settings)


def test_a_class_that_declares_nothing_trains_on_labels_from_nothing():
    made = config(criterion=Weighted, acoustic_scale=None)
    inherited = inherit_settings(typed(made))
    assert inherited.criterion.get("acoustic_scale", 0) is None
    assert isinstance(open_targets(inherited, {}, None), LabelTargets)
    assert optimiser_needs(typed(config(trainer=Plain)).trainer) == OptimiserNeeds(False, True)


def test_targets_follow_from_what_is_declared():
    stores = {Split.TRAIN: None}
    for kind in (OverLattices, Boosted):
        with pytest.raises(InputError, match="no lattices"):
            open_targets(typed(config(criterion=kind)), stores, None)
    assert isinstance(open_targets(typed(config(criterion=Continued)), stores, None), LabelTargets)


@pytest.mark.parametrize("kind", [Continued, Boosted])
def test_a_starting_model_is_asked_for_where_it_is_declared(kind):
    with pytest.raises(
        InputError, match=rf"init_from=null: criterion mine\.needs\.{kind.__name__}"
    ):
        inherit_settings(typed(config(criterion=kind)))
    inherit_settings(typed(config(criterion=OverLattices)))


def test_a_scale_is_asked_for_where_no_run_can_give_it():
    with pytest.raises(InputError, match=r"criterion\.acoustic_scale=null"):
        inherit_settings(typed(config(criterion=Scaled)))
    inherit_settings(typed(config(criterion=Scaled, acoustic_scale=0.1)))


@pytest.mark.parametrize(
    ("kind", "sharded", "refused"),
    [
        (Mine, False, "goes by minibatches"),
        (Mine, True, "goes by minibatches"),
        (Plain, False, None),
        (Plain, True, "needs whole vectors"),
        (Entrywise, True, None),
    ],
)
def test_processes_share_what_optimisers_let_them(kind, sharded, refused, monkeypatch):
    made = config(f"runtime.sharded={str(sharded).lower()}", trainer=kind)
    monkeypatch.setattr("asr_hf.stages.train.DataParallel", lambda *given: given)
    model = SimpleNamespace(state_tensors=dict)
    objective, ranks = SimpleNamespace(model=model, frames_by_pass={}), SimpleNamespace(count=2)
    if refused is None:
        assert share(typed(made), objective, ranks) == (objective, ranks, {}, sharded)
        return
    with pytest.raises(InputError, match=refused) as error:
        share(typed(made), objective, ranks)
    assert f"mine.needs.{kind.__name__}" in str(error.value)


@pytest.mark.parametrize(
    "wrong", [{"criterion": Mistaken}, {"trainer": MistakenTrainer}], ids=["criterion", "trainer"]
)
def test_needs_of_another_form_are_refused_before_training(wrong):
    with pytest.raises(InputError, match=r"Mistaken.*: its needs are") as error:
        check_targets(config(**wrong))
    assert "docs/your-classes.md" in str(error.value)


def test_what_is_declared_stands_on_the_page():
    page = (Path(__file__).parents[3] / "docs/your-classes.md").read_text(encoding="utf-8")
    for kind in (CriterionNeeds, OptimiserNeeds):
        assert kind.__name__ in page
        assert all(f"`{field.name}`" in page for field in fields(kind))
    assert all(f"`Targets.{target.name}`" in page for target in Targets)
