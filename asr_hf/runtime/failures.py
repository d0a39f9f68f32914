"""One message for a run of many ranks: the first that fails reports, the others leave quietly."""

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
    """Another rank did not answer or its connection broke, most often because that rank failed."""


class Store(Protocol):
    """The methods of torch.distributed's stores that are used here."""

    def set(self, key: str, value: str) -> None:
        """Store a value."""
        ...

    def get(self, key: str) -> bytes:
        """Return a value, waiting until there is one."""
        ...

    def check(self, keys: list[str]) -> bool:
        """Return whether all keys have a value."""
        ...

    def compare_set(self, key: str, expected: str, desired: str) -> bytes:
        """Store `desired` if the value is `expected` ("": there is none); return what is stored."""
        ...


class FailureBoard:
    """Tells the ranks which of them was the first to fail.

    Args:
        store: store that every rank reaches.
        rank: number of this rank.
        count: number of all ranks.
        grace: seconds to wait for the other ranks.
    """

    def __init__(self, store: Store, rank: int, count: int, grace: float = 5.0) -> None:
        self._store, self._rank, self._count, self._grace = store, rank, count, grace

    def claim(self, code: int) -> bool:
        """Return whether this rank is the first to fail, and so the one that reports.

        Args:
            code: exit code of this rank.
        """
        claim = json.dumps({"rank": self._rank, "code": code})
        return bool(self._store.compare_set(_KEY, "", claim) == claim.encode())

    @property
    def code(self) -> int | None:
        """The exit code of the first rank that failed; None where none has."""
        try:
            if not self._store.check([_KEY]):
                return None
            return int(json.loads(self._store.get(_KEY))["code"])
        except RuntimeError:
            # The store has gone with its process.
            return None

    def silent(self) -> list[int]:
        """Return the ranks that have given no sign of life after some seconds (`grace`).

        When a rank has reported its failure, the list is empty and comes at once.
        """
        self._store.set(_ANSWER.format(self._rank), "1")
        deadline = time.monotonic() + self._grace
        while self.code is None and time.monotonic() < deadline:
            time.sleep(0.05)
        if self.code is not None:
            return []
        return [r for r in range(self._count) if not self._store.check([_ANSWER.format(r)])]

    @contextmanager
    def reporting(self) -> Iterator[None]:
        """Pass on an error of the block if this rank is the first to fail, and leave otherwise.

        Yields:
            Nothing.

        Raises:
            SystemExit: another rank failed before this one; its exit code is taken over.
            InputError: the error of the block, with the number of the rank.
            RunError: the error of the block, with the number of the rank.
            Exception: any other error of the block.
            KeyboardInterrupt: the block was interrupted by the user.
            Interrupted: the block was interrupted by a signal.
        """
        try:
            yield
        except (Exception, KeyboardInterrupt, Interrupted) as error:
            if self._is_reported(error):
                raise SystemExit(self.code or _exit_code(error)) from None
            if isinstance(error, InputError | RunError) and self._count > 1:
                named = f"rank {self._rank}: {error.problem}"
                raise type(error)(named, expected=error.expected, remedy=error.remedy) from error
            raise

    def _is_reported(self, error: BaseException) -> bool:
        try:
            return not self.claim(_exit_code(error))
        except RuntimeError:
            # The store has gone with its process; two reports are better than none.
            return False


def _exit_code(error: BaseException) -> int:
    return 130 if isinstance(error, KeyboardInterrupt) else int(getattr(error, "exit_code", 1))
