from __future__ import annotations

import pytest

from asr_hf.runtime import resources
from asr_hf.runtime.errors import InputError


def test_a_recipe_is_a_package_whose_relative_imports_work(tmp_path, monkeypatch):
    folder = tmp_path / "sound"
    folder.mkdir()
    (folder / "prepare.py").write_text(
        "from .words import COUNT\n\n\ndef prepare(config):\n    return COUNT\n"
    )
    (folder / "words.py").write_text("COUNT = 3\n")
    monkeypatch.setattr(resources, "recipes_dir", lambda: tmp_path)
    monkeypatch.setattr(resources, "_RECIPES", "asr_hf_recipes_of_a_test")
    assert resources.recipe_names() == ["sound"]
    assert resources.load_recipe("sound").prepare(None) == 3


def test_an_unknown_recipe_is_refused_with_the_nearest():
    with pytest.raises(InputError, match=r"'promts'(.|\n)*did you mean 'prompts'"):
        resources.load_recipe("promts")


@pytest.mark.parametrize("name", ["..", "prompts/../prompts", "", "os"])
def test_a_recipe_is_never_looked_for_outside_the_recipes(name):
    with pytest.raises(InputError):
        resources.load_recipe(name)


def test_every_recipe_has_the_function_that_prepare_calls():
    for name in resources.recipe_names():
        assert callable(resources.load_recipe(name).prepare)
