"""The file that keeps the times of a set's words, a line of JSON for each utterance."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from asr_hf.data.times import Boundary, TimedPhone, TimedWord
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import atomic_path

FILE_NAME = "times.jsonl"
# Digits behind the point of seconds and probabilities.
_DIGITS = 6


def write_times(folder: Path, found: Iterable[tuple[str, tuple[TimedWord, ...]]]) -> None:
    """Write the times of utterances as they are found.

    Args:
        folder: folder of the file.
        found: utterances and their words, in time of the utterance.
    """
    with (
        atomic_path(folder / FILE_NAME) as temporary,
        open(temporary, "w", encoding="utf-8") as file,
    ):
        for name, words in found:
            row = {"utterance": name, "words": [_word(word) for word in words]}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


class KeptTimes:
    """The times of a set, read utterance by utterance.

    Args:
        folder: folder of the file.

    Raises:
        InputError: the file cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._places: dict[str, int] = {}
        try:
            with open(self._path, "rb") as file:
                place = 0
                for line in file:
                    self._places[json.loads(line)["utterance"]] = place
                    place += len(line)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._damaged(error) from error

    def __contains__(self, utterance: object) -> bool:
        return utterance in self._places

    def words(self, utterance: str) -> tuple[TimedWord, ...]:
        """Return the words of an utterance, in its own time.

        Raises:
            InputError: the file is damaged.
        """
        try:
            with open(self._path, "rb") as file:
                file.seek(self._places[utterance])
                row = json.loads(file.readline())
            return tuple(
                TimedWord(label, tuple(_read_phone(*phone) for phone in phones))
                for label, phones in row["words"]
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> InputError:
        return InputError(
            f"{self._path}: cannot be read: {error}",
            remedy="remove its folder and run asr-hf align --format ... again",
        )


def _word(word: TimedWord) -> list[object]:
    return [
        word.label,
        [[phone.label, _numbers(phone.begin), _numbers(phone.end)] for phone in word.phones],
    ]


def _numbers(boundary: Boundary) -> list[float]:
    values = (boundary.time, boundary.low, boundary.high, boundary.confidence)
    return [round(value, _DIGITS) for value in values]


def _read_phone(label: str, begin: list[float], end: list[float]) -> TimedPhone:
    return TimedPhone(str(label), _boundary(*begin), _boundary(*end))


def _boundary(time: float, low: float, high: float, confidence: float) -> Boundary:
    return Boundary(float(time), float(low), float(high), float(confidence))
