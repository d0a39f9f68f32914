from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pytest
import torch

from asr_hf.cli.suggest import groups
from asr_hf.models.acoustic import AcousticModel
from asr_hf.models.dnn import DNN
from asr_hf.models.registry import KINDS, build, class_named, full_name, kind_of, target_of
from asr_hf.models.settings import check_plain, check_settings
from asr_hf.models.tdnn import TDNN
from asr_hf.runtime.errors import InputError


def test_every_option_of_the_tree_is_a_kind():
    assert sorted(KINDS) == groups()["model"]
    for kind, made in KINDS.items():
        assert issubclass(made, AcousticModel)
        assert class_named(full_name(made)) is made
        # Its files are read without trust.
        assert made.check_size.__func__ is not AcousticModel.check_size.__func__
        assert kind_of(target_of(kind)) == kind


@pytest.mark.parametrize("kind", [DNN, TDNN])
def test_settings_of_a_file_ask_for_no_more_than_it_holds(kind):
    fitting = {"hidden_sizes": [9, 9], "context": [[-1, 0], [0]] if kind is TDNN else []}
    kind.check_size(fitting, 3, 5, parameters=81)
    with pytest.raises(ValueError, match="layers of"):
        kind.check_size(fitting, 3, 5, parameters=80)
    for wide in ({"left": 1001}, {"right": -1}, {"context": [[-600, 600]]}):
        with pytest.raises(ValueError, match="frames of context"):
            kind.check_size(fitting | wide, 3, 5, parameters=81)
    with pytest.raises(ValueError, match="AcousticModel does not say"):
        AcousticModel.check_size({}, 3, 5, parameters=81)


def test_a_class_of_one_s_own_is_its_own_kind():
    assert kind_of("mine.models.Mine") == target_of("mine.models.Mine") == "mine.models.Mine"
    assert kind_of("asr_hf.models.acoustic.torch.hub.load") not in KINDS


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "torch.hub.load",
        "asr_hf.models.acoustic.torch.hub.load",
        "asr_hf.models.dnn.DNN.forward",
        "asr_hf.models.dnn.FrameBatch",
        "asr_hf.models.flat.FlatModule",
        "torch.nn.Linear",
        "DNN",
        "",
        "..DNN",
        "asr_hf.models.dnn.",
        "asr_hf.models.dnn.DNN()",
    ],
)
def test_what_is_no_model_is_no_class_of_one(name):
    with pytest.raises(InputError, match=r"model._target_"):
        class_named(name)


SETTINGS = {"hidden_sizes": [4], "left": 1}


def test_a_model_is_built_from_its_settings():
    model = build(DNN, SETTINGS, 3, 5, seed=1)
    other = DNN(feature_dim=3, num_pdfs=5, seed=1, **SETTINGS)
    assert torch.equal(model.flat, other.flat)


@pytest.mark.parametrize(
    ("kind", "settings", "said"),
    [
        (DNN, {}, "hidden_sizes: DNN needs it"),
        (DNN, SETTINGS | {"lefd": 1}, "did you mean left?"),
        (DNN, SETTINGS | {"seed": 1}, "seed: DNN has the settings hidden_sizes"),
        (DNN, SETTINGS | {"num_pdfs": 1}, "num_pdfs: DNN has the settings"),
        (DNN, SETTINGS | {"left": True}, "left: True, expected a whole number"),
        (DNN, SETTINGS | {"left": 1.0}, "left: 1.0, expected a whole number"),
        (DNN, SETTINGS | {"left": None}, "left: None, expected a whole number"),
        (DNN, SETTINGS | {"activation": 3}, "activation: 3, expected a text"),
        (DNN, {"hidden_sizes": 4}, "hidden_sizes: 4, expected a list, each a whole number"),
        (DNN, {"hidden_sizes": "44"}, "hidden_sizes: '44', expected a list"),
        (DNN, {"hidden_sizes": [4, "4"]}, "hidden_sizes: [4, '4'], expected a list"),
        (TDNN, {"hidden_sizes": [4], "context": [0]}, "context: [0], expected a list"),
        (DNN, SETTINGS | {"activation": {"_target_": "os.system"}}, "a setting is a plain value"),
        (DNN, SETTINGS | {"activation": "${x}"}, "a setting is a plain value"),
        (DNN, SETTINGS | {"left": float("inf")}, "left: inf"),
        (DNN, SETTINGS | {"_args_": [1]}, "_args_: DNN has the settings"),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name(kind, settings, said):
    with pytest.raises(ValueError) as error:
        build(kind, settings, 3, 5, seed=0)
    assert said in str(error.value)


class Many(AcousticModel):
    def __init__(
        self,
        *,
        feature_dim: int,
        num_pdfs: int,
        rate: float = 0.1,
        maybe: int | None = None,
        how: Literal["sum", "mean"] = "sum",
        names: tuple[str, ...] = (),
        table: dict[str, float] | None = None,
        pairs: Sequence[Sequence[int]] = (),
        anything=None,
        seed: int = 0,
    ) -> None: ...


class More(Many):
    def __init__(self, *, own: bool, **more) -> None: ...


FIT = {
    "rate": [1, 0.5],
    "maybe": [None, 3],
    "how": ["sum", "mean"],
    "names": [[], ["a", "b"]],
    "table": [None, {}, {"a": 1.5}],
    "pairs": [[[1, 2], []]],
    "anything": [None, 1, "a", [1, {"a": [None]}]],
}
MISFIT = {
    "rate": [True, "1", None, [1.0]],
    "maybe": [0.5, "", False],
    "how": ["max", None, 1],
    "names": ["ab", [1], {}],
    "table": [[], {"a": "b"}, {1: 2.0}, {"_target_": "os.system"}],
    "pairs": [[1], 3, [["1"]]],
    "anything": [object(), b"", {"_target_": "x"}, ["${a}"], float("nan")],
}


@pytest.mark.parametrize("name", FIT)
def test_annotations_say_what_fits(name):
    for value in FIT[name]:
        check_settings(Many, {name: value})
    for value in MISFIT[name]:
        with pytest.raises(ValueError, match=name):
            check_settings(Many, {name: value})


def test_further_keywords_are_those_of_the_classes_below():
    check_settings(More, {"own": True, "rate": 0.5})
    with pytest.raises(ValueError, match="own: More needs it"):
        check_settings(More, {"rate": 0.5})
    with pytest.raises(ValueError, match="rate"):
        check_settings(More, {"own": True, "rate": "x"})
    with pytest.raises(ValueError, match="did you mean rate"):
        check_settings(More, {"own": True, "rat": 0.5})


def test_values_that_are_nested_too_deeply_are_an_error_of_python():
    value: list = []
    for _ in range(100_000):
        value = [value]
    with pytest.raises(RecursionError):
        check_plain(value, "x")
