"""The training and held-out sets of a corpus that lies in Kaldi's own data directories."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from omegaconf import DictConfig

from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.kaldi.data_dir import read_kaldi_dir
from asr_hf.runtime.errors import InputError


def kaldi_sets(config: DictConfig) -> dict[str, DataDir]:
    """The sets of a corpus of Kaldi's directories, by name; empty for other corpora.

    Without `corpus.heldout_data`, a share of the training data is held out: whole speakers, as
    long as there are ten or more of them. The sets of `corpus.decode_data` are not trained on.

    Raises:
        InputError: a directory is missing or damaged, or not named, or the share is none.
    """
    if "train_data" not in config.corpus:
        return {}
    named = config.corpus.train_data
    if named is None:
        raise InputError(
            "corpus.train_data=null: there is nothing to train on",
            expected=str(config.corpus.needs),
            remedy="corpus.train_data=data/train, for example",
        )
    train, heldout = read_kaldi_dir(Path(named)), config.corpus.heldout_data
    if heldout is None:
        pair = _split(train, float(config.corpus.heldout_share))
    else:
        pair = train, read_kaldi_dir(Path(heldout))
    sets = dict(zip((config.corpus.train_set, config.corpus.heldout_set), pair, strict=True))
    return sets | decode_data(config)


def decode_data(config: DictConfig) -> dict[str, DataDir]:
    """The sets that are only decoded or exported, by name; any corpus may have some.

    Raises:
        InputError: a directory is missing or damaged, or a set of the corpus has its name.
    """
    corpus, found = config.corpus, {}
    for name, path in (corpus.get("decode_data") or {}).items():
        taken = {corpus.train_set, corpus.heldout_set, *corpus.sets}
        if name in taken:
            raise InputError(
                f"corpus.decode_data.{name}: there is a set of this name already",
                remedy="give it another name",
            )
        found[str(name)] = read_kaldi_dir(Path(path))
    return found


def refuse_kaldi(config: DictConfig, verb: str) -> None:
    """Say that there is nothing for `verb` to do where everything is Kaldi's.

    Raises:
        InputError: the corpus lies in Kaldi's directories.
    """
    if "train_data" in config.corpus:
        raise InputError(
            f"asr-hf {verb}: the corpus {config.corpus.name!r} has data and features of Kaldi's",
            expected=str(config.corpus.needs),
            remedy="asr-hf train with the same overrides uses them as they are",
        )


def _split(data: DataDir, share: float) -> tuple[DataDir, DataDir]:
    if not 0 < share < 1:
        raise InputError(
            f"corpus.heldout_share={share:g}", expected="a share between 0 and 1", remedy="0.1"
        )
    by_speaker = len({u.speaker for u in data.utterances}) >= 10
    groups: dict[str, list[Utterance]] = {}
    for utterance in data.utterances:
        groups.setdefault(utterance.speaker if by_speaker else utterance.id, []).append(utterance)
    held: set[str] = set()
    # The order of hashes is as good as random, and the same wherever it is computed.
    for name in sorted(groups, key=lambda name: hashlib.sha256(name.encode()).digest()):
        if len(held) >= share * len(data.utterances):
            break
        held |= {u.id for u in groups[name]}
    parts = [[u for u in data.utterances if (u.id in held) == want] for want in (False, True)]
    if not all(parts):
        raise InputError(
            f"{data.path}: {len(data.utterances)} utterances cannot be split in two",
            remedy="name a held-out set in corpus.heldout_data",
        )
    train, heldout = (replace(data, utterances=part) for part in parts)
    return train, heldout
