"""Collects utterances that can be trained on from the rows of a table."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_hf.data.audio import MAX_OVERSHOOT
from asr_hf.data.audio_check import AudioSize, measure
from asr_hf.data.fields import composed, existing_file
from asr_hf.data.kaldi_dir import Utterance
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.progress import progress
from asr_hf.runtime.skips import SkipList
from asr_hf.settings.corpus import CorpusSettings

from .numbers import numbers_language
from .rows import Row
from .settings import ByLanguage, TableSettings
from .text import Spoken, graphemes, read_transcript


@dataclass(frozen=True)
class Item:
    """A row that can be used.

    Args:
        utterance: entry of the data directory.
        wav: the audio file.
        words: words of the transcript.
        sounds: words, with `<unk>` where noise is marked.
        seconds: length of the audio.
        sample_rate: sampling rate of the audio (Hz).
        split: set that the table names; empty where it names none.
    """

    utterance: Utterance
    wav: Path
    words: list[str]
    sounds: list[str]
    seconds: float
    sample_rate: int
    split: str


def of_languages(given: ByLanguage, key: str, languages: Sequence[str]) -> dict[str, str]:
    """Return the value of a setting for each language.

    Args:
        given: value of the setting: a text for a single language, or texts by language.
        key: name of the setting in the group corpus, for messages.
        languages: names of the languages.

    Returns:
        Values by language.

    Raises:
        InputError: the languages in the value are not those of the corpus.
    """
    if given is None:
        return {}
    if isinstance(given, str):
        if len(languages) > 1:
            raise InputError(
                f"corpus.{key}={given}: one value for {len(languages)} languages",
                remedy=f"'corpus.{key}={{{languages[0]}: ..., {languages[1]}: ...}}'",
            )
        return {languages[0]: given}
    if set(given) != set(languages):
        raise InputError(
            f"corpus.{key}: values for {', '.join(map(str, given))}",
            expected=f"one for each of {', '.join(languages)}",
        )
    return dict(given)


def numbers_of(given: ByLanguage, languages: Sequence[str]) -> dict[str, str]:
    """Return the language that numbers are read in, for each language of the corpus.

    Args:
        given: value of `corpus.numbers`.
        languages: names of the languages.

    Returns:
        Codes of num2words by language.

    Raises:
        InputError: num2words does not have a language that is named.
    """
    named = of_languages(given, "numbers", languages)
    return {language: numbers_language(code) for language, code in named.items()}


class Collector:
    """Turns rows into items; what cannot be used is listed in `skips`.

    Args:
        corpus: settings of the corpus.
        recipe_settings: settings of the recipe.
        table: file of the table.
        spelled: whether words are pronounced by their letters.
        skips: list for rows that are left out.
    """

    def __init__(
        self,
        corpus: CorpusSettings,
        recipe_settings: TableSettings,
        table: Path,
        spelled: bool,
        skips: SkipList,
    ) -> None:
        self.skips, self.marks = skips, Counter[str]()
        self._spelled, self._tidy = spelled, recipe_settings.tidy
        self._numbers = numbers_of(recipe_settings.numbers, corpus.languages)
        self._languages = list(corpus.languages)
        self._base = (
            table.absolute().parent
            if recipe_settings.audio is None
            else recipe_settings.audio.absolute()
        )
        self._sizes: dict[Path, AudioSize | str] = {}
        self._lines: dict[str, int] = {}

    def items(self, rows: Sequence[Row]) -> list[Item]:
        """List the usable rows."""
        language_of = self._language_of(rows)
        items = []
        for row in progress(rows, desc="recordings", unit="row"):
            item = self._item(row, language_of.get(row.language, row.language))
            if isinstance(item, Item):
                items.append(item)
            else:
                self.skips.add(f"line {row.line} ({row.audio})", item)
        return items

    def path_of(self, row: Row) -> Path:
        """Find the audio file of a row; tables from Windows have backslashes.

        Its name in the table may be in another Unicode form than on the disk.

        Returns:
            The path.
        """
        for name in (row.audio, row.audio.replace("\\", "/")):
            given = Path(existing_file(str(self._base / name)))
            if os.path.isfile(given):
                break
        return given

    def _language_of(self, rows: Sequence[Row]) -> dict[str, str]:
        """Map the names that the table has for languages to those of the corpus."""
        in_table = sorted({row.language for row in rows})
        if len(self._languages) == 1 and len(in_table) == 1:
            return {in_table[0]: self._languages[0]}
        if foreign := [name for name in in_table if name not in self._languages]:
            raise InputError(
                f"the table has recordings in {', '.join(n or 'no language' for n in in_table)}",
                expected=f"corpus.languages: {', '.join(self._languages)}",
                remedy=f"corpus.languages=[{','.join(n for n in in_table if n)}]"
                if "" not in foreign
                else "fill in the column of languages",
            )
        return {}

    def _item(self, row: Row, language: str) -> Item | str:
        """Make the item of a row, or say why there is none."""
        spoken = self._spoken(row.text, language)
        words = spoken.words
        if not words:
            return "no words in its transcript"
        if spoken.unread:
            return f"{spoken.unread[0]!r} can be read in several ways: write it in words"
        if self._spelled and (hard := [w for w in words if not graphemes(w)]):
            how = "write numbers as words, or have corpus.numbers do it"
            return f"{hard[0]!r} cannot be read letter by letter: {how}"
        wav = self.path_of(row)
        if wav not in self._sizes:
            self._sizes[wav] = measure(str(wav))
        size = self._sizes[wav]
        if isinstance(size, str):
            return size
        if fault := _fault(row, size):
            return fault
        utterance = self._utterance(row, wav, language, " ".join(words))
        if (before := self._lines.setdefault(utterance.id, row.line)) != row.line:
            return f"the same name as in line {before}: {utterance.id}"
        self.marks.update(spoken.marks)
        end = size.seconds if row.end is None else min(row.end, size.seconds)
        seconds = end - (row.start or 0.0)
        return Item(utterance, wav, words, spoken.sounds, seconds, size.sample_rate, row.split)

    def _spoken(self, text: str, language: str) -> Spoken:
        if self._tidy:
            return read_transcript(text, language, self._numbers.get(language))
        # Any white space separates words here; data directories allow only blanks.
        words = composed(text).split()
        return Spoken(words, words, [], [])

    def _utterance(self, row: Row, wav: Path, language: str, text: str) -> Utterance:
        recording = _name("_".join(_below(wav, self._base).with_suffix("").parts))
        name = _name(row.id) or recording
        if not row.id and (row.start is not None or row.end is not None):
            times = (row.start or 0.0, row.end or 0.0)
            name += "".join(f"-{round(100 * time):07d}" for time in times)
        if not row.id and row.channel is not None:
            name += f"-{row.channel + 1}"
        speaker = _name(row.speaker)
        # Kaldi's tools want speakers to be the beginnings of their utterances' names.
        named = name if name.startswith(speaker) else f"{speaker}-{name}"
        start = 0.0 if row.start is None and row.end is not None else row.start
        return Utterance(
            named, speaker or named, recording, row.channel or 0, start, row.end, text, language
        )


def _fault(row: Row, size: AudioSize) -> str | None:
    if row.channel is None and size.channels > 1:
        return f"{size.channels} channels: name one in a column `channel`"
    if row.channel is not None and row.channel >= size.channels:
        return f"channel {row.channel + 1} of {size.channels}"
    if (row.start or 0.0) >= size.seconds or (row.end or 0.0) > size.seconds + MAX_OVERSHOOT:
        return f"ends after its recording of {size.seconds:.2f} s"
    return None


def _below(wav: Path, base: Path) -> Path:
    """Make a path relative to the folder of audio; paths outside it stay whole."""
    return wav.relative_to(base) if wav.is_relative_to(base) else wav.relative_to(wav.anchor)


def _name(text: str) -> str:
    """Return a text as a name, without blanks and in composed form."""
    return re.sub(r"\s+", "_", composed(text.strip()))
