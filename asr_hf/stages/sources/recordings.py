"""Recognised words in the time of recordings rather than utterances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.runtime.errors import InputError
from asr_hf.scoring.ctm import CtmWord, read_ctm
from asr_hf.scoring.transcripts import read_table
from asr_hf.settings.settings import Settings


def utterances_of(settings: Settings, name: str) -> dict[str, Utterance]:
    """Return the utterances of a set by their ids."""
    return {u.id: u for u in DataDir.read(settings.corpus.dir / name).utterances}


def file_and_channel(settings: Settings, name: str) -> Callable[[Utterance], tuple[str, str]]:
    """Find out how ctm and stm files name the recordings and channels of a set.

    They take the names of the set's reco2file_and_channel. Without that file, they take the
    recording's key, and count channels from 1.

    Args:
        settings: settings of the command.
        name: name of the set.

    Returns:
        A function from an utterance to its file and channel.
    """
    path = settings.corpus.dir / name / "reco2file_and_channel"
    table = read_table(path) if path.exists() else {}

    def location(utterance: Utterance) -> tuple[str, str]:
        file, channel = table.get(utterance.recording, ()) or (
            utterance.recording,
            str(utterance.channel + 1),
        )
        return file, channel

    return location


def recognised_words(settings: Settings, name: str) -> list[CtmWord]:
    """Return the words of a decoded set, in the time of its recordings.

    Where no path reached the end of an utterance, its words have no times and are spread evenly.

    Raises:
        InputError: the set was not decoded, or its utterances have changed since.
    """
    path = settings.run_dir / "decode" / name / "words.ctm"
    if not path.is_file():
        raise InputError(
            f"{path}: nothing was decoded",
            remedy="asr-hf decode with the same overrides, then this again",
        )
    utterances, location = utterances_of(settings, name), file_and_channel(settings, name)
    timed: dict[str, list[CtmWord]] = {}
    for word in read_ctm(path):
        timed.setdefault(word.recording, []).append(word)
    words = []
    for key, hypothesis in read_table(path.with_name("hyp.txt")).items():
        timed.setdefault(key, _spread(utterances.get(key), hypothesis))
    for key, utterance_words in timed.items():
        utterance = utterances.get(key)
        if utterance is None:
            raise InputError(
                f"{key}: decoded, but no such utterance in the data",
                remedy="decode again after changing the data",
            )
        file, channel = location(utterance)
        start = utterance.start or 0.0
        words += [
            replace(word, recording=file, channel=channel, start=word.start + start)
            for word in utterance_words
        ]
    return words


def _spread(utterance: Utterance | None, words: list[str]) -> list[CtmWord]:
    """Spread words evenly over an utterance; put all at its start if its end is not known."""
    if utterance is None or utterance.end is None:
        duration = 0.0
    else:
        duration = (utterance.end - (utterance.start or 0.0)) / max(1, len(words))
    return [CtmWord("", "", i * duration, duration, word) for i, word in enumerate(words)]
