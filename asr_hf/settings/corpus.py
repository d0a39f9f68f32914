"""Settings of the group corpus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from asr_hf.settings.maker import make


@dataclass(frozen=True, kw_only=True)
class KaldiData:
    """Settings of a corpus that lies in Kaldi's data directories.

    Attributes:
        train_data: data directory that is trained on.
        heldout_data: data directory that is held out; None holds out a share of the former.
        heldout_share: share of the training data that is held out then.
        norm_vars: whether CMVN normalises variances too; None obeys the cmvn_opts of Kaldi's
            folders.
    """

    train_data: Path | None
    heldout_data: Path | None
    heldout_share: float
    norm_vars: bool | None = None


@dataclass(frozen=True, kw_only=True)
class CopiedSet:
    """Settings of a set of altered copies.

    Attributes:
        of: clean set that the copies are made of.
        clean: whether the clean recordings are in the set, too.
        copies: number of copies of each recording.
    """

    of: str
    clean: bool
    copies: int


@dataclass(frozen=True, kw_only=True)
class AugmentationSettings:
    """Settings of a corpus of altered copies.

    Attributes:
        seed: seed of all that is drawn.
        sets: how each set is made, by its name.
        effects: settings of each effect by its name, as `data.augment.chain.EffectSettings` takes
            them.
    """

    seed: int
    sets: Mapping[str, CopiedSet]
    effects: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class CorpusSettings:
    """Settings of a corpus.

    Attributes:
        name: name of the corpus.
        dir: folder of the prepared corpus.
        recipe: recipe that prepares it: a folder of recipes/, or a module of the user's own.
        languages: names of its languages.
        sets: names of its sets.
        train_set: set that is trained on.
        heldout_set: set that losses are reported of and steps accepted on.
        clean: corpus in `paths.data` that a corpus of altered copies is made of; None for others.
        augmentation: how a corpus of altered copies is made; None for others.
        table: table of recordings that a corpus is made of; None for others.
        decode_data: Kaldi data directories of sets that are only decoded or exported, by name.
        scoring: rules by which words count as errors: hub5, or None for all words.
        subsets_scored: beginnings of recordings' names that make up parts scored apart, by set.
        needs: what a person has to get hold of, for messages.
        kaldi: where the data of a corpus in Kaldi's data directories lie; None for others.
        own: plain values of the settings that are the recipe's own, by name.
    """

    name: str
    dir: Path
    recipe: str | None = None
    languages: tuple[str, ...] = ()
    sets: tuple[str, ...]
    train_set: str
    heldout_set: str
    clean: str | None = None
    augmentation: AugmentationSettings | None = None
    table: Path | None = None
    decode_data: Mapping[str, Path] | None = None
    scoring: str | None = None
    subsets_scored: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    needs: str = ""
    kaldi: KaldiData | None = None
    own: Mapping[str, Any] = field(default_factory=dict)


def corpus_settings(values: Mapping[str, Any], key: str = "corpus") -> CorpusSettings:
    """Make the settings of a corpus, those of Kaldi's and the recipe's own set apart.

    Args:
        values: plain values of the group.
        key: dotted key of the group.

    Returns:
        The settings.

    Raises:
        InputError: a value is missing or does not fit.
    """
    kaldi = make(KaldiData, values, key) if "train_data" in values else None
    apart = {field.name for kind in (CorpusSettings, KaldiData) for field in fields(kind)}
    apart -= {"kaldi", "own"}
    read = {name: value for name, value in values.items() if name in apart}
    own = {name: value for name, value in values.items() if name not in apart}
    return replace(make(CorpusSettings, read, key), kaldi=kaldi, own=own)
