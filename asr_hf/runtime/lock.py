"""A lock by which only one process at a time writes to a folder, on any machine or container.

Three things show that a folder is taken: a lock of the system on the folder itself, which stays
when files in it are removed; a lock on the file `.lock`, which network file systems share between
machines; and a record in that file, whose time stamp its holder renews. The two locks end with
their holder. The record counts where the locks do not reach, between machines: a holder whose time
stamp does not change for a while is dead. Clocks are not compared.
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
from asr_hf.runtime.lock_holder import MAX_RECORD_BYTES, Holder, start_time

log = logging.getLogger(__name__)

FILE_NAME = ".lock"
# Seconds between two time stamps.
_BEAT_SECONDS = 5.0
# Seconds without a new time stamp after which a holder on another machine is dead.
_DEAD_SECONDS = 30.0


@contextmanager
def hold_folder(folder: Path, what: str) -> Iterator[None]:
    """Hold a folder for the block, and remove what killed holders left in it.

    Args:
        folder: folder to hold; it is made if it does not exist.
        what: what this process does there, for the message to processes that are refused.

    Raises:
        InputError: another process holds the folder; the message says which.
        RunError: the folder cannot be written to; or, raised in the block, the folder or its lock
            was taken away.
    """
    with ExitStack() as resources:
        try:
            make_folder(folder)
            lock = _taken(folder, what, resources)
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


def holder_of(folder: Path) -> Holder | None:
    """Return the process that holds a folder, as far as one can see without taking its locks.

    A holder of this machine lives as long as its process, one elsewhere as long as its time stamp
    is fresh.

    Args:
        folder: the folder.
    """
    try:
        descriptor = os.open(folder / FILE_NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        holder, stamp = Holder.read(descriptor), os.fstat(descriptor).st_mtime
    except OSError:
        return None
    finally:
        os.close(descriptor)
    if holder is None:
        return None
    here = Holder.here("")
    if (holder.boot, holder.namespace) == (here.boot, here.namespace):
        return holder if start_time(holder.pid) == holder.started else None
    return holder if time.time() - stamp < _DEAD_SECONDS else None


def _taken(folder: Path, what: str, resources: ExitStack) -> _Lock:
    """Take the lock of a folder, or raise the InputError that says which process has it."""
    path = folder / FILE_NAME
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    resources.callback(os.close, directory)
    alone = _flock(directory)
    if alone is False:
        # No file is made: the holder of a removed one would take it for another's, and stop.
        raise _in_use(folder, holder_of(folder))
    while True:
        file = _open(path)
        with ExitStack() as closing:
            closing.callback(os.close, file)
            locked = _flock(file)
            other = Holder.read(file)
            if locked is False:
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
            closing.pop_all()
            resources.callback(lock.release)
            return lock


class _Lock:
    """A lock that this process holds.

    Args:
        folder: folder that is locked.
        holder: this process, as the record in the lock file has it.
        directory: open descriptor of the folder.
        file: open descriptor of the lock file.
    """

    def __init__(self, folder: Path, holder: Holder, directory: int, file: int) -> None:
        self._folder, self._holder = folder, holder
        self._directory, self._file = directory, file
        self._ended = threading.Event()

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Renew the time stamp and check that the lock is still ours, until the block ends."""
        beat = threading.Thread(target=self._beat, name=f"lock of {self._folder}", daemon=True)
        beat.start()
        try:
            yield
        finally:
            self._ended.set()
            beat.join()

    def release(self) -> None:
        """Empty the lock file and let go of the folder."""
        with suppress(OSError):
            if self._is_ours():
                os.ftruncate(self._file, 0)
        os.close(self._file)

    def _beat(self) -> None:
        while not self._ended.wait(_BEAT_SECONDS):
            try:
                os.utime(self._file)
                if not _is_at(self._directory, self._folder):
                    lost = "the folder was moved or removed"
                elif self._is_ours() or self._put_back():
                    continue
                else:
                    lost = "another process has taken it"
            except OSError as error:
                # A network file system may be back soon; meanwhile others see no new time stamp.
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
        holder = Holder.read(self._file)
        return holder == self._holder and _is_at(self._file, self._folder / FILE_NAME)

    def _put_back(self) -> bool:
        """Write the lock file anew if it was removed; return False if another process has one."""
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
    """Return whether the holder that a record names is dead.

    Args:
        path: path of the lock file.
        other: holder that the record names.
        certain: whether the system's locks work here: a living holder on this machine would still
            have its lock.
    """
    here = Holder.here("")
    if other.boot == here.boot:
        if certain:
            return True
        if other.namespace == here.namespace:
            return start_time(other.pid) != other.started
    log.warning(
        "%s: held by %s; seeing for up to %.0f seconds whether it still lives",
        *(path.parent, other, _DEAD_SECONDS),
    )
    first, deadline = _stamp(path), time.monotonic() + _DEAD_SECONDS
    while time.monotonic() < deadline:
        time.sleep(min(1.0, _DEAD_SECONDS / 10))
        now = _stamp(path)
        if now[1] == b"":
            return True
        if now != first:
            return False
    return True


def _stamp(path: Path) -> tuple[int, bytes]:
    """Return the record's time stamp and its bytes.

    The file is opened anew each time: a network file system may answer an open one from its cache.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return 0, b""
    try:
        return os.fstat(descriptor).st_mtime_ns, os.pread(descriptor, MAX_RECORD_BYTES, 0)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise InputError(
            f"{path}: a symbolic link", expected="a file", remedy="remove it"
        ) from error


def _flock(descriptor: int) -> bool | None:
    """Return whether the system's lock could be taken; None where the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False


def _in_use(folder: Path, holder: Holder | None) -> InputError:
    return InputError(
        f"{folder}: in use by {holder or 'another process'}",
        remedy="wait until it has ended; another run needs another name=...",
    )
