"""The configurations of an adaptation: those of the run that is adapted and of the new one."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from asr_hf.cli.compose import load_config, table_name
from asr_hf.cli.groups import key_of
from asr_hf.cli.quoting import as_text
from asr_hf.cli.run_settings import load_run_config
from asr_hf.runtime.errors import InputError
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.layout import subsampling, system_folder

_STAGE = "+stage=adapt"
# Settings of features that are no property of these, or that only training sees.
_NOT_INHERITED = ("jobs", "max_skipped", "allow_pipes", "perturb", "resample")
# Overrides that hold for commands on the old run, too: where and how to compute.
_FOR_BOTH = ("runtime.", "decode.jobs", "features.allow_pipes", "model")
PULL, PULL_FISHER = "trainer.pull", "trainer.pull_fisher"
# The pull that holds the network without a Fisher matrix, where there is little speech.
_ALONE = 0.03
_WEIGHTS = ("acoustic_scale", "lm_scale", "insertion_penalty")
# Outer iterations from an output layer that knows nothing.
_NEW_OUTPUT_ITERATIONS = 40


@dataclass(frozen=True)
class Adaptation:
    """What a command asks for.

    Args:
        old: configuration of the run that is adapted.
        new: configuration of the adapted run.
        same: whether the network keeps its states.
        given: keys of the overrides of the command.
    """

    old: DictConfig
    new: DictConfig
    same: bool
    given: frozenset[str]

    def leave_fisher(self) -> None:
        """Hold all parameters alike, because no Fisher matrix can be measured."""
        OmegaConf.update(self.new, PULL_FISHER, 0.0)

    def take_pull(self, frames: int) -> None:
        """Choose the pull that holds the network without a Fisher matrix, unless it is given.

        It is weaker where there is more speech to learn from.

        Args:
            frames: number of training frames.
        """
        alone = OmegaConf.select(self.new, PULL_FISHER) == 0
        if alone and PULL not in self.given:
            pull = min(_ALONE, float(f"{self.new.adapt.weight / frames:.2g}"))
            OmegaConf.update(self.new, PULL, pull)

    def take_weights(self, best: dict[str, float]) -> None:
        """Decode with the weights that the old run was tuned to.

        A few minutes of speech are too little to tune on, and both networks are to be compared.
        """
        for name in _WEIGHTS:
            plural = "insertion_penalties" if name == "insertion_penalty" else f"{name}s"
            OmegaConf.update(self.new, f"decode.{plural}", [best[name]], merge=False)


def adaptation(arguments: Sequence[str]) -> Adaptation:
    """Compose the configurations of an adaptation.

    Args:
        arguments: arguments of the verb: a run folder, what chooses the new corpus, overrides.

    Returns:
        The configurations, complete.

    Raises:
        InputError: there is no such run, no corpus is chosen, or an override does not fit.
    """
    folder, given, searched = _parted(arguments)
    shared = [o for o in given if key_of(o).startswith(_FOR_BOTH)]
    old = load_run_config([folder, *searched, *shared])
    overrides = [*searched, *_with_stage(given)]
    chosen = load_config(overrides)
    same = str(chosen.adapt.states) == "same"
    _check_given(given, same)
    # Late, so that errors in overrides do not wait for torch.
    from asr_hf.cli.typed import settings_of

    settings, keys = settings_of(old), frozenset(map(key_of, given))
    defaults = _defaults(old, settings, chosen, keys, same)
    new = load_config([*overrides, *defaults])
    _inherit_features(old, settings, new, given)
    return Adaptation(old, new, same, keys)


def _parted(arguments: Sequence[str]) -> tuple[str, list[str], list[str]]:
    """Part arguments into the run folder, overrides, and options with their values."""
    folders, given, searched, rest = [], [], [], list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument.startswith("-"):
            searched += [argument, *rest[:1]]
            del rest[:1]
        elif "=" in argument and not Path(argument).is_dir():
            given.append(argument)
        else:
            folders.append(argument)
    if len(folders) != 1:
        raise InputError(
            f"asr-hf adapt: {' '.join(folders) or 'no run folder'}",
            expected="asr-hf adapt exp/RUN table=FILE",
            remedy="asr-hf info lists the runs that there are",
        )
    return folders[0], given, searched


def _with_stage(given: Sequence[str]) -> list[str]:
    """Put the stage behind what chooses the corpus, and before presets, which change it."""
    corpus = [o for o in given if key_of(o) in ("recipe", "corpus", "table")]
    return [*corpus, _STAGE, *(o for o in given if o not in corpus)]


def _check_given(given: Sequence[str], same: bool) -> None:
    """Refuse overrides that have no effect here.

    Raises:
        InputError: there is one.
    """
    tuned = ("decode.acoustic_scales", "decode.lm_scales", "decode.insertion_penalties")
    for override in given:
        if same and key_of(override) in tuned:
            raise InputError(
                f"{override}: both networks decode with the weights that the old run was tuned to",
                remedy="give it to asr-hf decode, with the run folder that this command makes",
            )


def _defaults(
    old: DictConfig, settings: Settings, chosen: DictConfig, given: frozenset[str], same: bool
) -> list[str]:
    """Return the overrides that follow from the old run, but for those that are given."""
    run = Path(old.run_dir)
    defaults = {"init_from": as_text(str(run)), "name": as_text(_run_name(run, chosen))}
    if (every := subsampling(settings)) > 1:
        # Its states are those of every k-th frame, whoever makes them.
        defaults["model.subsampling"] = str(every)
    if same:
        tag = table_name(run.name)
        defaults |= {
            "alignment.from_run": as_text(str(run)),
            "alignment.states_from": as_text(os.path.abspath(system_folder(settings))),
            "alignment.system": as_text(f"align-{tag}"),
            "alignment.tag": as_text(tag),
            **_words_of_old(old, chosen, given),
        }
    else:
        defaults["new_output"] = "true"
        if OmegaConf.select(chosen, "trainer.stopping.max_iterations") is not None:
            defaults["trainer.stopping.max_iterations"] = str(_NEW_OUTPUT_ITERATIONS)
        if OmegaConf.select(chosen, PULL_FISHER) is not None:
            # The outputs that the old speech needed are gone.
            defaults[PULL_FISHER] = "0.0"
    return [f"{key}={value}" for key, value in defaults.items() if key not in given]


def _run_name(run: Path, chosen: DictConfig) -> str:
    return f"{run.name}-{chosen.corpus.name}"


def _words_of_old(old: DictConfig, chosen: DictConfig, given: frozenset[str]) -> dict[str, str]:
    """Return where a table takes language, pronunciations and text from: the old corpus.

    A dictionary is left out where the old corpus spelled its words, as tables do without one.
    """
    if OmegaConf.select(chosen, "corpus.table") is None:
        return {}
    languages = list(map(str, chosen.corpus.languages))
    defaults: dict[str, str] = {}
    if "corpus.languages" not in given and len(old.corpus.get("languages") or []) == 1:
        languages = list(map(str, old.corpus.languages))
        defaults["corpus.languages"] = f"[{as_text(languages[0])}]"
    if len(languages) != 1:
        return defaults
    folder = Path(old.corpus.dir) / "lang" / languages[0]
    spelled = OmegaConf.select(old, "corpus.table") is not None and not old.corpus.get("lexicon")
    if not spelled:
        own = old.corpus.get("lexicon")
        lexicon = Path(own) if isinstance(own, str) else folder / "lexicon.txt"
        if lexicon.is_file():
            defaults["corpus.lexicon"] = as_text(os.path.abspath(lexicon))
    if (folder / "lm_text").is_file():
        defaults["corpus.lm_text"] = as_text(os.path.abspath(folder / "lm_text"))
    return defaults


def _inherit_features(
    old: DictConfig, settings: Settings, new: DictConfig, given: Sequence[str]
) -> None:
    """Give the new corpus features as the old network was trained on.

    Raises:
        InputError: the command asks for others.
    """
    # Late, so that errors in overrides do not wait for torch.
    from asr_hf.stages.features import fbank_options

    features: Any = OmegaConf.to_container(old.features, resolve=True)
    if settings.corpus.kaldi is None and settings.features.transforms is None:
        features["sample_rate"] = fbank_options(settings).sample_rate
    asked = {key_of(o): o for o in given if key_of(o).split(".")[0] == "features"}
    with open_dict(new):
        for name, value in features.items():
            if name in _NOT_INHERITED:
                continue
            key = f"features.{name}"
            present = OmegaConf.to_container(new.features, resolve=True)
            assert isinstance(present, dict)
            named = [o for k, o in asked.items() if k == key or k.startswith(f"{key}.")]
            if named and present.get(name) != value:
                raise InputError(
                    f"{named[0]}: {old.run_dir} was trained on {key}={value}",
                    expected="features as the network knows them",
                    remedy="leave it out, or take a run that was trained on such",
                )
            OmegaConf.update(new, key, value, merge=False, force_add=True)
        if "features.resample" not in asked:
            new.features.resample = True
