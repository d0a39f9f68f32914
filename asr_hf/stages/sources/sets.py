"""Reads the sets of a corpus as they are trained on: the training set with its altered copies."""

from __future__ import annotations

from asr_hf.data.augment.perturb import Perturbation
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.settings.settings import Settings


def perturbation(settings: Settings, name: str) -> Perturbation | None:
    """Return how the set `name` is perturbed; None for a set that stays as it was recorded.

    Only the training set is perturbed, so that losses and error rates are those of recorded speech.

    Raises:
        InputError: a setting of `features.perturb` is out of its range.
    """
    options = settings.features.perturb
    chosen = Perturbation(options.speeds, options.level, options.seed)
    if name != settings.corpus.train_set or chosen == Perturbation(seed=options.seed):
        return None
    return chosen


def read_set(settings: Settings, name: str) -> DataDir:
    """Read the set `name` of a prepared corpus, with copies where it is perturbed.

    Args:
        settings: settings of the command.
        name: name of the set.

    Returns:
        The data directory; each altered utterance says what is done to its audio.

    Raises:
        InputError: a file is missing or damaged, or the set cannot be perturbed.
    """
    data, chosen = DataDir.read(settings.corpus.dir / name), perturbation(settings, name)
    return data if chosen is None else chosen.of(data)
