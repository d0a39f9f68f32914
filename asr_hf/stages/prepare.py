"""Make a corpus by its recipe, and check its data."""

from __future__ import annotations

from typing import Any

from asr_hf.data.overlap import warn_of_overlap
from asr_hf.data.validate import validate
from asr_hf.runtime.errors import InputError, RunError
from asr_hf.runtime.resources import load_recipe
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.kaldi_sets import refuse_kaldi


def run(settings: Settings) -> dict[str, Any]:
    """Run recipes/<corpus.recipe>/prepare.py and validate every set.

    Args:
        settings: settings of the command.

    Returns:
        The content of corpus.json.

    Raises:
        InputError: the recipe lacks data, or the corpus has no recipe.
        RunError: the data that the recipe made are not valid.
    """
    refuse_kaldi(settings, "prepare")
    if settings.corpus.recipe is None:
        raise InputError(
            f"corpus.recipe=null: no recipe prepares the corpus {settings.corpus.name!r}",
            expected=f"data directories that are there already, in {settings.corpus.dir}",
            remedy="go on with asr-hf features, or name a recipe of the folder recipes/",
        )
    about: dict[str, Any] = load_recipe(settings.corpus.recipe).prepare(settings)
    problems = [
        problem for name in settings.corpus.sets for problem in validate(settings.corpus.dir / name)
    ]
    if problems:
        listed = "\n".join(f"    {problem}" for problem in problems[:20])
        raise RunError(
            f"{settings.corpus.dir}: {len(problems)} problems in the prepared data:\n{listed}",
            remedy="asr-hf validate lists them all; remove the folder to have it made again",
        )
    train = settings.corpus.train_set
    warn_of_overlap(settings.corpus.dir, train, [n for n in settings.corpus.sets if n != train])
    return about
