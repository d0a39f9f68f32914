"""Reads a store's description in JSON without trusting it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json

_MAX_COUNT = 1 << 48


class Header:
    """The description of a store, whose values are checked when they are taken.

    Args:
        path: the JSON file.
        about: content of the file.
        remedy: what the user can do if the file is damaged, for messages.
    """

    def __init__(self, path: Path, about: dict[str, Any], remedy: str) -> None:
        self.path, self.about, self._remedy = path, about, remedy

    @classmethod
    def read(cls, path: Path, form: str, remedy: str) -> Header:
        """Read a description.

        Args:
            path: the JSON file.
            form: name of the format that the file must have.
            remedy: what the user can do if the file is damaged, for messages.

        Returns:
            The description.

        Raises:
            InputError: the file is missing or damaged, or has another format.
        """
        about = read_json(path)
        if not isinstance(about, dict) or about.get("format") != form:
            actual = about.get("format") if isinstance(about, dict) else type(about).__name__
            raise InputError(f"{path}: format {actual!r}", expected=form, remedy=remedy)
        return cls(path, about, remedy)

    def count(self, key: str, minimum: int = 0, maximum: int = _MAX_COUNT) -> int:
        """Return the whole number of a key, which must lie within the bounds."""
        value = self.about.get(key)
        if type(value) is not int or not minimum <= value <= maximum:
            raise self._wrong(key, f"a whole number from {minimum} to {maximum}")
        return value

    def counts(self, key: str) -> list[int]:
        """Return the list of whole numbers of a key; none may be negative."""
        values = self.about.get(key)
        if not isinstance(values, list) or not all(
            isinstance(v, int) and not isinstance(v, bool) and 0 <= v <= _MAX_COUNT for v in values
        ):
            raise self._wrong(key, "a list of whole numbers from 0")
        return values

    def flag(self, key: str) -> bool:
        """Return the truth value of a key."""
        value = self.about.get(key)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        """Return the word of a key, which must be one of `allowed`."""
        value = self.about.get(key)
        if value not in allowed:
            raise self._wrong(key, f"one of {', '.join(allowed)}")
        return str(value)

    def _wrong(self, key: str, expected: str) -> InputError:
        return InputError(
            f"{self.path}: {key} is {str(self.about.get(key))[:80]!r}",
            expected=expected,
            remedy=self._remedy,
        )
