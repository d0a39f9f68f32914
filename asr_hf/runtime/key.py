"""The key that the ranks of one run share, and that nobody else may read.

It never goes through the store where ranks meet: whoever reaches that reads and writes it.
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
# Letters or digits of a key that cannot be guessed.
_LEAST = 32
_MOST = 4096
_NAME = re.compile(r"\.asr-hf-[0-9a-f]{32}\.key")
_REMEDY = (
    f"start all ranks in one folder of a disk that they share, or give all of them the same {KEY} "
    f"(or {KEY_FILE}, which names a file that only you can read): head -c 32 /dev/urandom | base64"
)


def given_key() -> bytes | None:
    """Return the key that the environment holds or names.

    Raises:
        InputError: it is too short, or others can read its file.
    """
    if text := os.environ.get(KEY, ""):
        return _key(text, KEY)
    if name := os.environ.get(KEY_FILE, ""):
        return read_key(Path(name))
    return None


@contextmanager
def new_key_file(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield a file with a new key, that only this user can read: its name, and the key.

    It is gone after the block. The name is no secret.

    Raises:
        RunError: it cannot be written.
    """
    path = folder / f".asr-hf-{secrets.token_hex(16)}.key"
    text = secrets.token_hex(32)
    try:
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise RunError(
            f"{folder.absolute()}: the ranks' key cannot be written: {error.strerror}",
            remedy=_REMEDY,
        ) from error
    try:
        with open(opened, "w", encoding="ascii") as file:
            os.fchmod(opened, 0o600)
            file.write(text)
            file.flush()
            os.fsync(opened)
        yield path.name, _key(text, str(path))
    finally:
        path.unlink(missing_ok=True)


def found_key(folder: Path, name: str) -> bytes:
    """Return the key in a file that `new_key_file` has made on the first rank.

    Raises:
        InputError: it is not there, not ours alone, or its name is another kind of name.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{name[:80]!r}: no name of a file with the ranks' key", remedy=_REMEDY)
    return read_key(folder / name)


def read_key(path: Path) -> bytes:
    """Return the key in a file that nobody but this user can read or write.

    Raises:
        InputError: there is none, it is a link, or others can read it.
    """
    try:
        opened = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(opened, encoding="ascii") as file:
            about = os.fstat(opened)
            mine = about.st_uid == os.geteuid() and stat.S_ISREG(about.st_mode)
            if not mine or about.st_mode & 0o077:
                raise InputError(
                    f"{path.absolute()}: others can read or write this key",
                    expected="a file of your own with mode 0600",
                    remedy=f"make a new key, and chmod 600 {path}",
                )
            return _key(file.read(_MOST), str(path))
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "not ASCII"
        raise InputError(
            f"{path.absolute()}: the ranks' key cannot be read: {said}", remedy=_REMEDY
        ) from error


def _key(text: str, name: str) -> bytes:
    if len(text.strip()) < _LEAST:
        raise InputError(
            f"{name}: a key of {len(text.strip())} letters",
            expected=f"{_LEAST} or more, drawn at random",
            remedy=_REMEDY,
        )
    return sha256(text.strip().encode()).digest()
