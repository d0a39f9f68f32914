"""A folder that one process at a time writes to, whatever machine or container it runs in.

Three things say that a folder is taken: a lock of the system on the folder itself, which stays
when files in it are removed; one on the file `.lock`, which network file systems know across
machines; and a record in that file, whose time stamp its holder renews. The first two end with
their holder. The record speaks where they say nothing, of another machine: a holder whose stamp
does not change for a while is dead. Clocks are not compared.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from asr_hf.runtime.errors import InputError, RunError
from asr_hf.runtime.files import make_folder, sweep
from asr_hf.runtime.interruption import stop_this_process
from asr_hf.runtime.lock_holder import MOST, Holder, started

log = logging.getLogger(__name__)

FILE_NAME = ".lock"
_BEAT = 5.0
# Seconds without a new stamp after which a holder that cannot be asked otherwise is dead.
_PATIENCE = 30.0


@contextmanager
def held(folder: Path, what: str) -> Iterator[None]:
    """Hold a folder for the block, and clear away what killed holders left in it.

    Args:
        folder: made where there is none.
        what: what is done there, for whoever is refused.

    Raises:
        InputError: another process holds it; says which.
        RunError: it cannot be written to. In the block: the folder or its lock was taken away.
    """
    with ExitStack() as opened:
        try:
            make_folder(folder)
            lock = _taken(folder, what, opened)
        except OSError as error:
            raise RunError(
                f"{folder}: cannot be written: {error.strerror or error}",
                remedy="check its permissions, or choose another place with paths.exp=... or "
                "paths.data=...",
            ) from error
        for root, _, _ in os.walk(folder):
            sweep(root)
        with lock.beating():
            yield


def _taken(folder: Path, what: str, opened: ExitStack) -> _Lock:
    """Return the lock of a folder, taken.

    Raises:
        InputError: another process has it.
        OSError: it cannot be written to.
    """
    path = folder / FILE_NAME
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    opened.callback(os.close, directory)
    alone = _flock(directory)
    while True:
        file = _open(path)
        with ExitStack() as mine:
            mine.callback(os.close, file)
            locked = _flock(file)
            other = Holder.read(file)
            if alone is False or locked is False:
                raise _in_use(folder, other)
            if not _is_at(file, path):
                continue
            certain = alone is True or locked is True
            if other is not None and not _dead(path, other, certain):
                raise _in_use(folder, other)
            holder = Holder.here(what)
            os.ftruncate(file, 0)
            os.pwrite(file, holder.record(), 0)
            os.fsync(file)
            lock = _Lock(folder, holder, directory, file)
            mine.pop_all()
            opened.callback(lock.release)
            return lock


class _Lock:
    """A lock that is held.

    Args:
        folder: what it is for.
        holder: this process, as it stands in the file.
        directory: the folder, open.
        file: the file, open.
    """

    def __init__(self, folder: Path, holder: Holder, directory: int, file: int) -> None:
        self._folder, self._holder = folder, holder
        self._directory, self._file = directory, file
        self._ended = threading.Event()

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Renew the stamp, and see that the lock is still ours, until the block ends."""
        beat = threading.Thread(target=self._beat, name=f"lock of {self._folder}", daemon=True)
        beat.start()
        try:
            yield
        finally:
            self._ended.set()
            beat.join()

    def release(self) -> None:
        """Leave an empty file, and the folder to others."""
        with suppress(OSError):
            if self._is_ours():
                os.ftruncate(self._file, 0)
        os.close(self._file)

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT):
            try:
                os.utime(self._file)
                if not _is_at(self._directory, self._folder):
                    lost = "the folder was moved or removed"
                elif self._is_ours() or self._put_back():
                    continue
                else:
                    lost = "another process has taken it"
            except OSError as error:
                # A network file system may be back soon; meanwhile others see no new stamp.
                log.warning("%s: its lock cannot be renewed: %s", self._folder, error.strerror)
                continue
            if not self._ended.is_set():
                stop_this_process(
                    RunError(
                        f"{self._folder}: in use by this process, but {lost}",
                        remedy="let one process work there, and leave its .lock alone; the same "
                        "command continues",
                    )
                )
            return

    def _is_ours(self) -> bool:
        found = Holder.read(self._file)
        return found == self._holder and _is_at(self._file, self._folder / FILE_NAME)

    def _put_back(self) -> bool:
        """Return whether the file was only removed, and stands there again."""
        path, flags = self._folder / FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            new = os.open(path, flags, 0o666)
        except FileExistsError:
            return False
        if _flock(new) is False:
            os.close(new)
            return False
        os.pwrite(new, self._holder.record(), 0)
        before, self._file = self._file, new
        os.close(before)
        log.warning("%s was removed while it was held, and is there again", path)
        return True


def _dead(path: Path, other: Holder, certain: bool) -> bool:
    """Return whether the holder that a record names is gone.

    Args:
        path: of the lock file.
        other: the holder.
        certain: whether the system's locks hold among the processes of this machine: its own
            would still be there.
    """
    here = Holder.here("")
    if other.boot == here.boot:
        if certain:
            return True
        if other.namespace == here.namespace:
            return started(other.pid) != other.started
    log.warning(
        "%s: held by %s; seeing for up to %.0f seconds whether it still lives",
        *(path.parent, other, _PATIENCE),
    )
    first, end = _stamp(path), time.monotonic() + _PATIENCE
    while time.monotonic() < end:
        time.sleep(min(1.0, _PATIENCE / 10))
        now = _stamp(path)
        if now[1] == b"":
            return True
        if now != first:
            return False
    return True


def _stamp(path: Path) -> tuple[int, bytes]:
    """Return when the record was renewed, and what it is; opened anew, or a network has it from before."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return 0, b""
    try:
        return os.fstat(opened).st_mtime_ns, os.pread(opened, MOST, 0)
    finally:
        os.close(opened)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise InputError(
            f"{path}: a symbolic link", expected="a file", remedy="remove it"
        ) from error


def _flock(opened: int) -> bool | None:
    """Return whether the system's lock could be taken; None where the file system has none."""
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_at(opened: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(opened), os.stat(path))
    except FileNotFoundError:
        return False


def _in_use(folder: Path, holder: Holder | None) -> InputError:
    return InputError(
        f"{folder}: in use by {holder or 'another process'}",
        remedy="wait until it has ended; another run needs another name=...",
    )
