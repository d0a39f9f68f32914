"""The errors a user meets: each says what is wrong, where, and how to mend it."""

from __future__ import annotations

import re

# What Python says of an error of the system: its number, what it is, and the file's name.
_SYSTEM = re.compile(r"\[Errno \d+\] (?P<what>[^\n]*?): (?P<quote>['\"])(?P<name>.*?)(?P=quote)")


class AsrHfError(Exception):
    """An error shown to the user without a traceback.

    Args:
        problem: what was found, with the file and the utterance it was found in.
        expected: what should have been there.
        remedy: what the user can do about it.
    """

    exit_code = 1

    def __init__(self, problem: str, *, expected: str = "", remedy: str = "") -> None:
        problem = _SYSTEM.sub(_once, problem)
        self.problem, self.expected, self.remedy = problem, expected, remedy
        lines = [problem]
        for label, text in (("expected:", expected), ("remedy:  ", remedy)):
            if text:
                lines.append(f"  {label} " + text.replace("\n", "\n" + " " * 12))
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[object, ...]:
        # Worker processes send errors by pickle, which would otherwise lose the keywords.
        return (_rebuild, (type(self), self.problem, self.expected, self.remedy))


def _once(found: re.Match[str]) -> str:
    """Return an error of the system, without the file's name where the message begins with it."""
    named = found["name"] in found.string[: found.start()]
    return found["what"] if named else f"{found['what']}: {found['name']}"


def _rebuild(kind: type[AsrHfError], problem: str, expected: str, remedy: str) -> AsrHfError:
    return kind(problem, expected=expected, remedy=remedy)


class InputError(AsrHfError):
    """Bad input data or configuration (exit code 2)."""

    exit_code = 2


class RunError(AsrHfError):
    """The work itself failed (exit code 1)."""
