"""Errors that users see: each says what is wrong, where it is, and how to mend it."""

from __future__ import annotations

import re

# Python's text for an error of the system: its number, its name, and the name of the file.
_SYSTEM = re.compile(r"\[Errno \d+\] (?P<what>[^\n]*?): (?P<quote>['\"])(?P<name>.*?)(?P=quote)")


class AsrHfError(Exception):
    """An error that is shown to the user without a traceback.

    Args:
        problem: what is wrong, with the file and the utterance where it was found.
        expected: what should have been there.
        remedy: what the user can do about it.

    Attributes:
        exit_code: exit code of the command that fails with this error.
    """

    exit_code = 1

    def __init__(self, problem: str, *, expected: str = "", remedy: str = "") -> None:
        problem = _SYSTEM.sub(_once, problem)
        self.problem, self.expected, self.remedy = problem, expected, remedy
        lines = [problem]
        for label, detail in (("expected:", expected), ("remedy:  ", remedy)):
            if detail:
                lines.append(f"  {label} " + detail.replace("\n", "\n" + " " * 12))
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[object, ...]:
        # Worker processes send errors by pickle, which would otherwise lose the keywords.
        return (_rebuild, (type(self), self.problem, self.expected, self.remedy))


def _once(match: re.Match[str]) -> str:
    """Return the text of a system error; the file's name is dropped where the message has it."""
    named = match["name"] in match.string[: match.start()]
    return match["what"] if named else f"{match['what']}: {match['name']}"


def _rebuild(kind: type[AsrHfError], problem: str, expected: str, remedy: str) -> AsrHfError:
    return kind(problem, expected=expected, remedy=remedy)


class InputError(AsrHfError):
    """The input data or the configuration is wrong (exit code 2)."""

    exit_code = 2


class RunError(AsrHfError):
    """The work failed, although its inputs are right (exit code 1)."""
