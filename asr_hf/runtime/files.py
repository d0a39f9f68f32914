"""Files that are either whole or absent: written to a temporary name, flushed, then renamed.

A temporary name cannot be guessed and is made anew, so that no link that somebody else has put
there is followed. Its writer holds a lock on it as long as it works: `sweep` removes what killed
processes have left, and nothing else.
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
# What file systems say that have no such call, of locks and of flushing a folder.
_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF}


def not_written(path: str | os.PathLike[str], error: OSError) -> RunError:
    """Return the error for a file or folder that cannot be written."""
    return RunError(
        f"{os.fspath(path)}: cannot be written: {error.strerror or error}",
        remedy="check free space and permissions of the folder",
    )


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a new, empty file beside `path`; rename it onto `path` when the block succeeds.

    File and folder are flushed to disk, so that a power cut leaves either the old file or the new
    one. The new one has the mode of a file that this process opens for writing, whatever the block
    makes of it. On an error inside the block the temporary file is removed.

    Raises:
        RunError: the folder cannot be written to or the disk is full.
    """
    target = Path(path)
    temporary, held = None, -1
    try:
        make_folder(target.parent)
        temporary, held = _new_file(target)
        mode = os.fstat(held).st_mode & 0o7777
        yield temporary
        _settle_file(temporary, mode)
        os.replace(temporary, target)
        sync_folder(target.parent)
    except OSError as error:
        raise not_written(target, error) from error
    finally:
        if temporary is not None:
            # Gone already after the rename; where it cannot be removed, the error above says why.
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            os.close(held)


@contextmanager
def replaced_folder(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `folder` when the block succeeds.

    All that is in it is flushed first. The old folder is put aside and removed last: whatever
    happens, what stands at `folder` is whole. What killed runs left beside it, perhaps gigabytes,
    goes.

    Raises:
        RunError: the folder cannot be written to or the disk is full.
    """
    target = Path(folder)
    part, held = None, -1
    try:
        make_folder(target.parent)
        sweep(target.parent, target.name)
        part, held = _new_folder(target)
        yield part
        _settle_tree(part)
        _put_in_place(part, target)
        sync_folder(target.parent)
    except OSError as error:
        raise not_written(target, error) from error
    finally:
        if part is not None:
            shutil.rmtree(part, ignore_errors=True)
            os.close(held)


def _put_in_place(part: Path, target: Path) -> None:
    old, held = _temporary_name(target, "old"), None
    try:
        if target.exists():
            held = _locked(target)
            os.replace(target, old)
        os.replace(part, target)
    except BaseException:
        if old.exists() and not target.exists():
            os.replace(old, target)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)
        if held is not None:
            os.close(held)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it; each that is new is on disk in the end.

    Raises:
        OSError: it cannot be made.
    """
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        with suppress(FileExistsError):
            one.mkdir()
        sync_folder(one.parent)
    if missing and not missing[0].is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk, where its file system can.

    Raises:
        OSError: the disk fails.
    """
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    finally:
        os.close(opened)


def sweep(folder: str | os.PathLike[str], name: str | None = None) -> None:
    """Remove what killed processes left in a folder: temporary files and folders of this module.

    An old folder that was put aside for one that never came is put back. What a living process
    of this machine writes is left alone; where the file system has no locks, nobody else may be
    writing.

    Args:
        folder: where to look; nothing happens where there is none.
        name: what the temporary ones stand for; everything by default.
    """
    for path in sorted(Path(folder).glob(".*")):
        found = _TEMPORARY.fullmatch(path.name)
        if found is None or name not in (None, found[1]):
            continue
        with suppress(OSError):
            held = _locked(path)
            if held is None:
                continue
            try:
                target = path.with_name(found[1])
                if found[2] == "old" and not target.exists():
                    os.replace(path, target)
                elif path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink()
            finally:
                os.close(held)


def _new_file(target: Path) -> tuple[Path, int]:
    """Return a new empty file beside `target`, open and locked."""
    while True:
        path = _temporary_name(target, "tmp")
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)
        if _lock(opened) and _is_at(opened, path):
            return path, opened
        os.close(opened)  # somebody sweeps it


def _new_folder(target: Path) -> tuple[Path, int]:
    while True:
        path = _temporary_name(target, "tmp")
        path.mkdir()
        held = _locked(path)
        if held is not None and _is_at(held, path):
            return path, held


def _temporary_name(target: Path, end: str) -> Path:
    return target.with_name(f".{target.name}.{secrets.token_hex(8)}.{end}")


def _locked(path: Path) -> int | None:
    """Return a file or folder, open and locked; None where another process has the lock."""
    opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if _lock(opened):
        return opened
    os.close(opened)
    return None


def _lock(opened: int) -> bool:
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
    return True


def _is_at(opened: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(opened), os.lstat(path))
    except FileNotFoundError:
        return False


def _settle_file(path: Path, mode: int | None = None) -> None:
    opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        if mode is not None and os.fstat(opened).st_mode & 0o7777 != mode:
            # Some libraries put a file of their own in its place.
            os.fchmod(opened, mode)
        os.fsync(opened)
    finally:
        os.close(opened)


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
    """Read a JSON file.

    Raises:
        InputError: the file is missing or is not JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"{path}: not valid JSON: {error}", remedy="remove it and make it again"
        ) from error
