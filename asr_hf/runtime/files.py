"""Files that are either whole or absent: written to a temporary name, flushed, then renamed.

A temporary name cannot be guessed and is always new, so that a link that somebody has put there is
never followed. Its writer locks it while it writes: `sweep` removes what killed processes have
left, and nothing else.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from asr_hf.runtime.errors import InputError, RunError

_TEMPORARY = re.compile(r"\.(.+)\.[0-9a-f]+\.(tmp|old)")
# Error numbers of file systems that cannot lock a file or flush a folder.
_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF}


def not_written(path: str | os.PathLike[str], error: OSError) -> RunError:
    """Return the error for a file or folder that cannot be written."""
    return RunError(
        f"{os.fspath(path)}: cannot be written: {error.strerror or error}",
        remedy="check free space and permissions of the folder",
    )


@contextmanager
def reporting_unwritable(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn an OSError of the block into the RunError that says that `path` cannot be written."""
    try:
        yield
    except OSError as error:
        raise not_written(path, error) from error


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a new, empty file beside `path`; rename it onto `path` when the block succeeds.

    File and folder are flushed to disk, so that a power cut leaves either the old file or the new
    one. The new file has the mode of a file that this process opens for writing, even if the block
    changes it. On an error inside the block the temporary file is removed.

    Raises:
        RunError: the folder cannot be written to, or the disk is full.
    """
    target = Path(path)
    temporary, lock = None, -1
    with reporting_unwritable(target):
        try:
            make_folder(target.parent)
            temporary, lock = _new_file(target)
            mode = os.fstat(lock).st_mode & 0o7777
            yield temporary
            _settle_file(temporary, mode)
            os.replace(temporary, target)
            sync_folder(target.parent)
        finally:
            if temporary is not None:
                # After the rename it is gone; where it cannot be removed, another error says why.
                with suppress(OSError):
                    temporary.unlink(missing_ok=True)
                os.close(lock)


@contextmanager
def replaced_folder(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `folder` when the block succeeds.

    All files in it are flushed first. The old folder is put aside and removed last, so that what
    stands at `folder` is whole at any moment. What killed processes left beside it, perhaps
    gigabytes, is removed.

    Raises:
        RunError: the folder cannot be written to, or the disk is full.
    """
    target = Path(folder)
    temporary, lock = None, -1
    with reporting_unwritable(target):
        try:
            make_folder(target.parent)
            sweep(target.parent, target.name)
            temporary, lock = _new_folder(target)
            yield temporary
            _settle_tree(temporary)
            _put_in_place(temporary, target)
            sync_folder(target.parent)
        finally:
            if temporary is not None:
                shutil.rmtree(temporary, ignore_errors=True)
                os.close(lock)


def _put_in_place(temporary: Path, target: Path) -> None:
    old, lock = _temporary_name(target, "old"), None
    try:
        if target.exists():
            lock = _locked(target)
            os.replace(target, old)
        os.replace(temporary, target)
    except BaseException:
        if old.exists() and not target.exists():
            os.replace(old, target)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, and flush the names of the new ones to disk.

    Raises:
        OSError: a folder cannot be made.
        NotADirectoryError: a file is in the way.
    """
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        with suppress(FileExistsError):
            new.mkdir()
        sync_folder(new.parent)
    if missing and not missing[0].is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk, if its file system can do so.

    Raises:
        OSError: the disk fails.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    finally:
        os.close(descriptor)


def sweep(folder: str | os.PathLike[str], name: str | None = None) -> None:
    """Remove the temporary files and folders of this module that killed processes left in a folder.

    An old folder that was put aside is put back if the new one never took its place. What a living
    process of this machine writes is left alone. Where the file system has no locks, no other
    process may be writing to the folder.

    Args:
        folder: folder to look in; nothing happens if it does not exist.
        name: name of the file or folder whose temporaries are removed; None for all.
    """
    for path in sorted(Path(folder).glob(".*")):
        match = _TEMPORARY.fullmatch(path.name)
        if match is None or name not in (None, match[1]):
            continue
        with suppress(OSError):
            lock = _locked(path)
            if lock is None:
                continue
            try:
                target = path.with_name(match[1])
                if match[2] == "old" and not target.exists():
                    os.replace(path, target)
                elif path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            finally:
                os.close(lock)


def _new_file(target: Path) -> tuple[Path, int]:
    """Make an empty file beside `target`; return its path and its open, locked descriptor."""
    while True:
        path = _temporary_name(target, "tmp")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        if _lock(descriptor) and _is_at(descriptor, path):
            return path, descriptor
        os.close(descriptor)  # another process sweeps it


def _new_folder(target: Path) -> tuple[Path, int]:
    while True:
        path = _temporary_name(target, "tmp")
        path.mkdir()
        lock = _locked(path)
        if lock is not None and _is_at(lock, path):
            return path, lock


def _temporary_name(target: Path, suffix: str) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(8)}.{suffix}")


def _locked(path: Path) -> int | None:
    """Open and lock a file or folder; return None where another process has the lock."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if _lock(descriptor):
        return descriptor
    os.close(descriptor)
    return None


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def _settle_file(path: Path, mode: int | None = None) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        if mode is not None and os.fstat(descriptor).st_mode & 0o7777 != mode:
            # Some libraries replace the file by one of their own.
            os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _settle_tree(folder: Path) -> None:
    for root, _, names in os.walk(folder):
        for name in names:
            path = Path(root, name)
            if path.is_file() and not path.is_symlink():
                _settle_file(path)
        sync_folder(Path(root))


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` to `path` as UTF-8, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `value` to `path` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: str | os.PathLike[str]) -> Any:
    """Return the value that a JSON file holds.

    Raises:
        InputError: the file is missing, or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: not valid JSON: {error}", remedy="remove it and make it again"
        ) from error
