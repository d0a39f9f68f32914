"""What a store says of itself in JSON, read without trust."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json

_MOST = 1 << 48


class Header:
    """The description of a store, whose values are checked when they are taken.

    Args:
        path: the JSON file.
        about: what is in it.
        remedy: what the user can do when it is damaged.
    """

    def __init__(self, path: Path, about: dict[str, Any], remedy: str) -> None:
        self.path, self.about, self._remedy = path, about, remedy

    @classmethod
    def read(cls, path: Path, form: str, remedy: str) -> Header:
        """Read a description.

        Raises:
            InputError: it is missing or damaged, or its format is not `form`.
        """
        about = read_json(path)
        if not isinstance(about, dict) or about.get("format") != form:
            found = about.get("format") if isinstance(about, dict) else type(about).__name__
            raise InputError(f"{path}: format {found!r}", expected=form, remedy=remedy)
        return cls(path, about, remedy)

    def count(self, key: str, least: int = 0, most: int = _MOST) -> int:
        """Return a number of things."""
        value = self.about.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self._wrong(key, f"a whole number from {least} to {most}")
        return value

    def counts(self, key: str) -> list[int]:
        """Several whole numbers that are not negative."""
        values = self.about.get(key)
        if not isinstance(values, list) or not all(
            isinstance(v, int) and not isinstance(v, bool) and 0 <= v <= _MOST for v in values
        ):
            raise self._wrong(key, "a list of whole numbers from 0")
        return values

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self.about.get(key)
        if not isinstance(value, bool):
            raise self._wrong(key, "true or false")
        return value

    def choice(self, key: str, allowed: tuple[str, ...]) -> str:
        """Return one of a few words."""
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
