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
import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from asr_hf.runtime.errors import InputError, RunError
from asr_hf.runtime.files import make_folder, sweep
from asr_hf.runtime.interruption import stop_this_process

log = logging.getLogger(__name__)

FILE_NAME = ".lock"
_BEAT = 5.0
# Seconds without a new stamp after which a holder that cannot be asked otherwise is dead.
_PATIENCE = 30.0
_MOST = 4096


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


@dataclass(frozen=True)
class _Holder:
    """Who holds a folder.

    Attributes:
        what: it does.
        pid: its number, in its own namespace.
        host: the machine's name.
        boot: what tells this start of this machine from all others.
        namespace: of process numbers.
        started: when it started, in ticks of that machine.
        token: its own.
    """

    what: str
    pid: int
    host: str
    boot: str
    namespace: str
    started: str
    token: str

    @classmethod
    def here(cls, what: str) -> _Holder:
        boot = _line("/proc/sys/kernel/random/boot_id") or socket.gethostname()
        pid, host = os.getpid(), socket.gethostname()
        return cls(what, pid, host, boot, _namespace(), _started(pid), secrets.token_hex(8))

    @classmethod
    def read(cls, opened: int) -> _Holder | None:
        """What stands in a lock file; None where it is free, or is damaged."""
        with suppress(ValueError, TypeError):
            found = cls(**json.loads(os.pread(opened, _MOST, 0)))
            pid, *texts = found.pid, *(v for k, v in asdict(found).items() if k != "pid")
            if type(pid) is int and all(type(text) is str for text in texts):
                return found
        return None

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host} ({self.what})"


def _taken(folder: Path, what: str, opened: ExitStack) -> _Lock:
    """The lock of a folder, taken.

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
            other = _Holder.read(file)
            if alone is False or locked is False:
                raise _in_use(folder, other)
            if not _is_at(file, path):
                continue
            certain = alone is True or locked is True
            if other is not None and not _dead(path, other, certain):
                raise _in_use(folder, other)
            holder = _Holder.here(what)
            os.ftruncate(file, 0)
            os.pwrite(file, json.dumps(asdict(holder)).encode(), 0)
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

    def __init__(self, folder: Path, holder: _Holder, directory: int, file: int) -> None:
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
        found = _Holder.read(self._file)
        return found == self._holder and _is_at(self._file, self._folder / FILE_NAME)

    def _put_back(self) -> bool:
        """Whether the file was only removed, and stands there again."""
        path, flags = self._folder / FILE_NAME, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        try:
            new = os.open(path, flags, 0o666)
        except FileExistsError:
            return False
        if _flock(new) is False:
            os.close(new)
            return False
        os.pwrite(new, json.dumps(asdict(self._holder)).encode(), 0)
        before, self._file = self._file, new
        os.close(before)
        log.warning("%s was removed while it was held, and is there again", path)
        return True


def _dead(path: Path, other: _Holder, certain: bool) -> bool:
    """Whether the holder that a record names is gone.

    Args:
        path: of the lock file.
        other: the holder.
        certain: whether the system's locks hold among the processes of this machine: its own
            would still be there.
    """
    here = _Holder.here("")
    if other.boot == here.boot:
        if certain:
            return True
        if other.namespace == here.namespace:
            return _started(other.pid) != other.started
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
    """When the record was renewed, and what it is; opened anew, or a network has it from before."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return 0, b""
    try:
        return os.fstat(opened).st_mtime_ns, os.pread(opened, _MOST, 0)
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
    """Whether the system's lock could be taken; None where the file system has none."""
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


def _in_use(folder: Path, holder: _Holder | None) -> InputError:
    return InputError(
        f"{folder}: in use by {holder or 'another process'}",
        remedy="wait until it has ended; another run needs another name=...",
    )


def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _started(pid: int) -> str:
    """When a process of this machine started; empty where there is none."""
    # The name, in parentheses, may hold anything.
    fields = _line(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 else ""


def _line(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
