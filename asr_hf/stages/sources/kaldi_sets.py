"""Reads the sets of a corpus that lies in Kaldi's data directories."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import replace

from asr_hf.data.augment.perturb import origin
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.kaldi.data_dir import read_kaldi_dir
from asr_hf.runtime.errors import InputError
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.sets import perturbation


def kaldi_sets(settings: Settings) -> dict[str, DataDir]:
    """Read the sets of a corpus in Kaldi's directories.

    Without `corpus.heldout_data`, a share of the training data is held out: whole speakers if there
    are at least ten. Copies at other speeds (sp0.9-...) of what is held out are in neither set. The
    sets of `corpus.decode_data` are not trained on.

    Args:
        settings: settings of the command.

    Returns:
        The sets by name; none for other corpora.

    Raises:
        InputError: features are to be perturbed, no training directory is named, a directory is
            missing or damaged, or the share is not between 0 and 1.
    """
    kaldi = settings.corpus.kaldi
    if kaldi is None:
        return {}
    if perturbation(settings, settings.corpus.train_set) is not None:
        raise InputError(
            "features.perturb.speeds, features.perturb.level: the features of the corpus "
            f"{settings.corpus.name!r} are there already, and speed and level are changes of audio",
            expected="features.perturb.speeds=[] and features.perturb.level=null",
            remedy="perturb the data directory with Kaldi (perturb_data_dir_speed_3way.sh, "
            "perturb_data_dir_volume.sh), and make features and alignments of it there",
        )
    if kaldi.train_data is None:
        raise InputError(
            "corpus.train_data=null: there is nothing to train on",
            expected=settings.corpus.needs,
            remedy="corpus.train_data=data/train, for example",
        )
    train, heldout = read_kaldi_dir(kaldi.train_data), kaldi.heldout_data
    if heldout is None:
        pair = _split(train, kaldi.heldout_share)
    else:
        pair = train, read_kaldi_dir(heldout)
    sets = dict(zip((settings.corpus.train_set, settings.corpus.heldout_set), pair, strict=True))
    return sets | decode_data(settings)


def decode_data(settings: Settings) -> dict[str, DataDir]:
    """Read the sets that are only decoded or exported, which any corpus may have.

    Args:
        settings: settings of the command.

    Returns:
        The sets of `corpus.decode_data`, by name.

    Raises:
        InputError: a directory is missing or damaged, or a set of the corpus has its name.
    """
    corpus, sets = settings.corpus, {}
    for name, path in (corpus.decode_data or {}).items():
        taken = {corpus.train_set, corpus.heldout_set, *corpus.sets}
        if name in taken:
            raise InputError(
                f"corpus.decode_data.{name}: there is a set of this name already",
                remedy="give it another name",
            )
        sets[name] = read_kaldi_dir(path)
    return sets


def refuse_kaldi(settings: Settings, verb: str) -> None:
    """Refuse a verb that has nothing to do where data and features are Kaldi's.

    Raises:
        InputError: the corpus lies in Kaldi's directories.
    """
    if settings.corpus.kaldi is not None:
        raise InputError(
            f"asr-hf {verb}: the corpus {settings.corpus.name!r} has data and features of Kaldi's",
            expected=settings.corpus.needs,
            remedy="asr-hf train with the same overrides uses them as they are",
        )


def _split(data: DataDir, share: float) -> tuple[DataDir, DataDir]:
    """Hold out a share of a set, of which no copy at another speed is trained on or held out."""
    if not 0 < share < 1:
        raise InputError(
            f"corpus.heldout_share={share:g}", expected="a share between 0 and 1", remedy="0.1"
        )
    names, speakers = {u.id for u in data.utterances}, {u.speaker for u in data.utterances}
    by_speaker = len({_recorded(speaker, speakers) for speaker in speakers}) >= 10
    groups: dict[str, list[Utterance]] = {}
    for u in data.utterances:
        group = _recorded(u.speaker, speakers) if by_speaker else _recorded(u.id, names)
        groups.setdefault(group, []).append(u)
    held: set[str] = set()
    # The order of hashes is as good as random, and the same wherever it is computed.
    for name in sorted(groups, key=lambda name: hashlib.sha256(name.encode()).digest()):
        if len(held) >= share * len(data.utterances):
            break
        held |= {u.id for u in groups[name]}
    parts = (
        [u for u in data.utterances if u.id not in held],
        [u for u in data.utterances if u.id in held and _recorded(u.id, names) == u.id],
    )
    if not all(parts):
        raise InputError(
            f"{data.path}: {len(data.utterances)} utterances cannot be split in two",
            remedy="name a held-out set in corpus.heldout_data",
        )
    train, heldout = (replace(data, utterances=part) for part in parts)
    return train, heldout


def _recorded(name: str, names: Collection[str]) -> str:
    """Return the name that a copy at another speed was made of, where it is among the names."""
    recorded, _ = origin(name)
    return recorded if recorded in names else name
