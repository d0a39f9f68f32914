"""The event log of a run: one JSON object a line, and the same figures for TensorBoard."""

from __future__ import annotations

import errno
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from asr_hf.runtime.errors import InputError, RunError
from asr_hf.runtime.files import atomic_path, reporting_unwritable, sync_folder

log = logging.getLogger(__name__)

FILE_NAME = "events.jsonl"
_REMEDY = "put the file back from a copy, or remove it and the checkpoints to begin again"


class EventLog:
    """Appends events to <folder>/events.jsonl and <folder>/tensorboard.

    Every line is on disk before `append` returns.

    Args:
        folder: the run folder.
        tensorboard: whether TensorBoard's file is written as well.

    Attributes:
        path: events.jsonl in the run folder.
    """

    def __init__(self, folder: Path, tensorboard: bool = True) -> None:
        self.path = folder / FILE_NAME
        self._board_folder = folder / "tensorboard" if tensorboard else None
        self._board: Any = None
        self._file: BinaryIO | None = None

    def truncate_after(self, iteration: int) -> None:
        """Drop the events after `iteration`, and half a line at the end, before a run goes on.

        Args:
            iteration: the last iteration whose event is kept; -1 for none.

        Raises:
            InputError: an event up to that iteration is missing; then nothing is dropped.
        """
        # A run that begins anew keeps nothing, so its events need not be whole.
        events = read_events(self.path) if iteration >= 0 and self.path.exists() else []
        kept = [e for e in events if e["iteration"] <= iteration]
        # The event of each iteration was on disk before the checkpoint of that iteration.
        if [e["iteration"] for e in kept] != list(range(iteration + 1)):
            known = {e["iteration"] for e in kept}
            missing = next(n for n in range(iteration + 1) if n not in known)
            raise InputError(
                f"{self.path}: the event of iteration {missing} is missing",
                expected=f"all up to {iteration}, where the newest checkpoint stands",
                remedy=_REMEDY,
            )
        self._open_board(purge_step=iteration + 1)
        if not self.path.exists():
            return
        with atomic_path(self.path) as temporary:
            temporary.write_text("".join(_line(e) for e in kept), encoding="utf-8")

    def append(self, event: dict[str, Any]) -> None:
        """Write one event.

        Args:
            event: JSON-able values, with the number of the "iteration".

        Raises:
            RunError: the disk is full, or the folder is read-only.
        """
        try:
            if self._file is None:
                is_new = not self.path.exists()
                self._file = open(self.path, "ab")  # noqa: SIM115 (held until close)
                if is_new:
                    sync_folder(self.path.parent)
            self._file.write(_line(event).encode())
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise RunError(
                f"{self.path}: cannot be written: {error.strerror or error}",
                remedy="check free space and permissions, then give the same command again",
            ) from error
        if self._board is not None:
            for tag, value in _scalars(event):
                self._board.add_scalar(tag, value, event["iteration"])

    def close(self) -> None:
        """Close the files; an error here is only logged, as `append` has flushed every event."""
        try:
            if self._file is not None:
                self._file.close()
            if self._board is not None:
                self._board.close()
        except OSError as error:
            log.warning("%s: cannot be closed: %s", self.path, error.strerror or error)

    def _open_board(self, purge_step: int) -> None:
        if self._board_folder is None:
            return
        from torch.utils.tensorboard import SummaryWriter

        # SummaryWriter's thread starts before it tries to write, and would die with a traceback.
        with reporting_unwritable(self._board_folder):
            if self._board_folder.is_dir() and not os.access(self._board_folder, os.W_OK):
                raise PermissionError(errno.EACCES, "Permission denied")
            self._board = SummaryWriter(str(self._board_folder), purge_step=purge_step)


def read_events(path: Path) -> list[dict[str, Any]]:
    """Read the events of a run, one of each iteration, in their order.

    The end of the file is left out if it is no whole line: after a power cut it may be half a line,
    or NUL bytes.

    Args:
        path: the run's events.jsonl.

    Returns:
        The events, as they were given to `EventLog.append`.

    Raises:
        InputError: the file is missing, another line is damaged, or an event is missing or double.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    events: list[dict[str, Any]] = []
    for number, line in enumerate(lines[:-1], start=1):
        event = _event(line, f"{path}:{number}")
        if events and event["iteration"] != events[-1]["iteration"] + 1:
            raise InputError(
                f"{path}:{number}: the event of iteration {event['iteration']} follows that of "
                f"{events[-1]['iteration']}",
                expected=f"iteration {events[-1]['iteration'] + 1}",
                remedy=_REMEDY,
            )
        events.append(event)
    return events


def _event(line: bytes, where: str) -> dict[str, Any]:
    if b"\0" in line:
        raise InputError(
            f"{where}: {line.count(0)} NUL bytes, as a power cut leaves them", remedy=_REMEDY
        )
    try:
        event = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: not an event: {error}", remedy=_REMEDY) from error
    if not isinstance(event, dict) or type(event.get("iteration")) is not int:
        raise InputError(f"{where}: not an event: no iteration", remedy=_REMEDY)
    return event


def _line(event: dict[str, Any]) -> str:
    return json.dumps(event, ensure_ascii=False) + "\n"


def _scalars(event: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    for key, value in event.items():
        if isinstance(value, dict):
            yield from _scalars(value, f"{prefix}{key}/")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{prefix}{key}", float(value)
