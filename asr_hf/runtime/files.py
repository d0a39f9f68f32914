"""Files that are either whole or absent: written to a temporary name, then renamed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from asr_hf.runtime.errors import InputError, RunError


def not_written(path: str | os.PathLike[str], error: OSError) -> RunError:
    """The error for a file or folder that cannot be written."""
    return RunError(
        f"{os.fspath(path)}: cannot be written: {error.strerror or error}",
        remedy="check free space and permissions of the folder",
    )


@contextmanager
def atomic_path(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it onto `path` when the block succeeds.

    The bytes are flushed to disk before the rename, so that a power cut leaves either the old
    file or the new one. On an error inside the block the temporary file is removed.

    Raises:
        RunError: the folder cannot be written to or the disk is full.
    """
    target = Path(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        os.replace(temporary, target)
    except OSError as error:
        raise not_written(target, error) from error
    finally:
        # Gone already after the rename; where it cannot be removed, the error above says why.
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextmanager
def replaced_folder(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `folder` when the block succeeds.

    The old folder is put aside first and removed last: whatever happens, what stands at `folder`
    is whole. What killed runs left beside it, perhaps gigabytes, goes.

    Raises:
        RunError: the folder cannot be written to or the disk is full.
    """
    target = Path(folder)
    part, old = (target.with_name(f".{target.name}.{os.getpid()}.{end}") for end in ("tmp", "old"))
    try:
        _remove_left_over(target)
        part.mkdir(parents=True)
        yield part
        if target.exists():
            os.replace(target, old)
        os.replace(part, target)
    except OSError as error:
        raise not_written(target, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _remove_left_over(target: Path) -> None:
    for end in ("tmp", "old"):
        for folder in target.parent.glob(f".{target.name}.*.{end}"):
            pid = folder.name.split(".")[-2]
            if pid.isdigit() and not Path("/proc", pid).exists():
                shutil.rmtree(folder, ignore_errors=True)


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
