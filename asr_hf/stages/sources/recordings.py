"""What was recognised, in the time of recordings rather than utterances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.runtime.errors import InputError
from asr_hf.scoring.ctm import CtmWord, read_ctm
from asr_hf.scoring.transcripts import read_table
from asr_hf.settings.settings import Settings


def utterances_of(settings: Settings, name: str) -> dict[str, Utterance]:
    """The utterances of a set by their ids."""
    return {u.id: u for u in DataDir.read(settings.corpus.dir / name).utterances}


def file_and_channel(settings: Settings, name: str) -> Callable[[Utterance], tuple[str, str]]:
    """Find out how ctm and stm name the recordings of a set.

    As its reco2file_and_channel does; without one, by the recording's key and the channel from 1.

    Returns:
        What names the recording and the channel of an utterance.
    """
    path = settings.corpus.dir / name / "reco2file_and_channel"
    table = read_table(path) if path.exists() else {}

    def named(utterance: Utterance) -> tuple[str, str]:
        file, channel = table.get(utterance.recording, ()) or (
            utterance.recording,
            str(utterance.channel + 1),
        )
        return file, channel

    return named


def recognised_words(settings: Settings, name: str) -> list[CtmWord]:
    """Read the words of a decoded set, in the time of its recordings.

    Those of utterances whose words have no times, where no path reached the end, are spread evenly.

    Returns:
        The words.

    Raises:
        InputError: the set was not decoded, or it was another one then.
    """
    found = settings.run_dir / "decode" / name / "words.ctm"
    if not found.is_file():
        raise InputError(
            f"{found}: nothing was decoded",
            remedy="asr-hf decode with the same overrides, then this again",
        )
    utterances, named = utterances_of(settings, name), file_and_channel(settings, name)
    timed: dict[str, list[CtmWord]] = {}
    for word in read_ctm(found):
        timed.setdefault(word.recording, []).append(word)
    words = []
    for key, hypothesis in read_table(found.with_name("hyp.txt")).items():
        timed.setdefault(key, _spread(utterances.get(key), hypothesis))
    for key, mine in timed.items():
        utterance = utterances.get(key)
        if utterance is None:
            raise InputError(
                f"{key}: decoded, but no such utterance in the data",
                remedy="decode again after changing the data",
            )
        file, channel = named(utterance)
        start = utterance.start or 0.0
        words += [replace(w, recording=file, channel=channel, start=w.start + start) for w in mine]
    return words


def _spread(utterance: Utterance | None, words: list[str]) -> list[CtmWord]:
    """Words over the whole of an utterance; of one whose end is not known, all at its start."""
    if utterance is None or utterance.end is None:
        each = 0.0
    else:
        each = (utterance.end - (utterance.start or 0.0)) / max(1, len(words))
    return [CtmWord("", "", i * each, each, word) for i, word in enumerate(words)]
