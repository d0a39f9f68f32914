"""The secret key that the ranks of one run share.

The key never goes through the store where ranks meet, because anybody who reaches the store can
read it and write to it.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from asr_hf.runtime.errors import InputError, RunError

KEY = "ASR_HF_KEY"
KEY_FILE = "ASR_HF_KEY_FILE"
# A key of so many letters or digits cannot be guessed.
_MIN_LETTERS = 32
_MAX_LETTERS = 4096
_NAME = re.compile(r"\.asr-hf-[0-9a-f]{32}\.key")
_REMEDY = (
    f"start all ranks in one folder of a disk that they share, or give all of them the same {KEY} "
    f"(or {KEY_FILE}, which names a file that only you can read): head -c 32 /dev/urandom | base64"
)


def key_from_environment() -> bytes | None:
    """Return the key that an environment variable holds, or whose file it names; None without one.

    Raises:
        InputError: the key is too short, or other users can read its file.
    """
    if text := os.environ.get(KEY, ""):
        return _key(text, KEY)
    if name := os.environ.get(KEY_FILE, ""):
        return read_key(Path(name))
    return None


@contextmanager
def new_key_file(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Write a new key to a file that only this user can read, and remove the file after the block.

    Args:
        folder: folder of the file.

    Yields:
        The name of the file, which is no secret, and the key.

    Raises:
        RunError: the file cannot be written.
    """
    path = folder / f".asr-hf-{secrets.token_hex(16)}.key"
    text = secrets.token_hex(32)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise RunError(
            f"{folder.absolute()}: the ranks' key cannot be written: {error.strerror}",
            remedy=_REMEDY,
        ) from error
    try:
        with open(descriptor, "w", encoding="ascii") as file:
            os.fchmod(descriptor, 0o600)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        yield path.name, _key(text, str(path))
    finally:
        path.unlink(missing_ok=True)


def shared_key(folder: Path, name: str) -> bytes:
    """Return the key in a file that `new_key_file` has made on the first rank.

    Args:
        folder: folder of the file.
        name: name of the file, as the store has it; it is not trusted.

    Raises:
        InputError: the name is no name of such a file, there is no such file, or other users can
            read it.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{name[:80]!r}: no name of a file with the ranks' key", remedy=_REMEDY)
    return read_key(folder / name)


def read_key(path: Path) -> bytes:
    """Return the key in a file that only this user can read and write.

    Raises:
        InputError: the file is missing or a link, or other users can read or write it.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, encoding="ascii") as file:
            status = os.fstat(descriptor)
            is_own_file = status.st_uid == os.geteuid() and stat.S_ISREG(status.st_mode)
            if not is_own_file or status.st_mode & 0o077:
                raise InputError(
                    f"{path.absolute()}: others can read or write this key",
                    expected="a file of your own with mode 0600",
                    remedy=f"make a new key, and chmod 600 {path}",
                )
            return _key(file.read(_MAX_LETTERS), str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not ASCII"
        raise InputError(
            f"{path.absolute()}: the ranks' key cannot be read: {reason}", remedy=_REMEDY
        ) from error


def _key(text: str, name: str) -> bytes:
    if len(text.strip()) < _MIN_LETTERS:
        raise InputError(
            f"{name}: a key of {len(text.strip())} letters",
            expected=f"{_MIN_LETTERS} or more, drawn at random",
            remedy=_REMEDY,
        )
    return sha256(text.strip().encode()).digest()
