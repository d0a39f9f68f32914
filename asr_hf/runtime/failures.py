"""One message for a run of many processes: the first to fail speaks, the others leave quietly."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from asr_hf.runtime.errors import AsrHfError, InputError, RunError
from asr_hf.runtime.interruption import Interrupted

_KEY = "failure"
_ANSWER = "answers/{}"


class LostRank(AsrHfError):
    """Another rank did not answer, or its connection broke: most often its failure is the cause."""


class Store(Protocol):
    """What is used of torch.distributed's stores."""

    def set(self, key: str, value: str) -> None:
        """Keep a value."""
        ...

    def get(self, key: str) -> bytes:
        """Return a value, waiting until there is one."""
        ...

    def check(self, keys: list[str]) -> bool:
        """Return whether all keys have a value."""
        ...

    def compare_set(self, key: str, expected: str, desired: str) -> bytes:
        """Keep `desired` if the value is `expected`, "" being none; return what is kept."""
        ...


class FailureBoard:
    """What ranks tell one another when something goes wrong.

    Args:
        store: reaches every rank.
        rank: of this process.
        count: ranks in all.
        grace: seconds to wait for what others have to say.
    """

    def __init__(self, store: Store, rank: int, count: int, grace: float = 5.0) -> None:
        self._store, self._rank, self._count, self._grace = store, rank, count, grace

    def claim(self, code: int) -> bool:
        """Return whether this process is the first to fail, and so the one that says why.

        Args:
            code: the exit code that goes with it.
        """
        mine = json.dumps({"rank": self._rank, "code": code})
        return bool(self._store.compare_set(_KEY, "", mine) == mine.encode())

    @property
    def code(self) -> int | None:
        """The exit code of the first failure, if there was one."""
        try:
            if not self._store.check([_KEY]):
                return None
            return int(json.loads(self._store.get(_KEY))["code"])
        except RuntimeError:
            # The store has gone with the process that held it.
            return None

    def silent(self) -> list[int]:
        """Return the ranks that neither failed nor noticed, in a while, that something is wrong.

        Returns early, with none, when one of the others has said what failed.
        """
        self._store.set(_ANSWER.format(self._rank), "1")
        end = time.monotonic() + self._grace
        while self.code is None and time.monotonic() < end:
            time.sleep(0.05)
        if self.code is not None:
            return []
        return [r for r in range(self._count) if not self._store.check([_ANSWER.format(r)])]

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Let the error of the block pass if it is the run's first; else leave with its code.

        Raises:
            SystemExit: another rank has failed before this one.
        """
        try:
            yield
        except (Exception, KeyboardInterrupt, Interrupted) as error:
            if self._others_say(error):
                raise SystemExit(self.code or _exit_code(error)) from None
            if isinstance(error, InputError | RunError) and self._count > 1:
                named = f"rank {self._rank}: {error.problem}"
                raise type(error)(named, expected=error.expected, remedy=error.remedy) from error
            raise

    def _others_say(self, error: BaseException) -> bool:
        try:
            return not self.claim(_exit_code(error))
        except RuntimeError:
            # The store has gone with the process that held it; better said twice than never.
            return False


def _exit_code(error: BaseException) -> int:
    return 130 if isinstance(error, KeyboardInterrupt) else int(getattr(error, "exit_code", 1))
