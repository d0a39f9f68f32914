"""The file or folder that a pack is: its manifest, sizes and digests.

A pack may come from a stranger: nothing is read of it but the files that its manifest names, and
these are held against their sizes and digests first.
"""

from __future__ import annotations

import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import atomic_path, read_json, replaced_folder
from asr_hf.runtime.provenance import file_digest
from asr_hf.runtime.unzip import max_unzipped
from asr_hf.training.model_file import FILE_NAME

MANIFEST, SUFFIX, FORMAT, HMM = "pack.json", ".asrhf", 1, "hmm"
_MOST_MANIFEST = 64 << 20
_NAME = re.compile(rf"{re.escape(FILE_NAME)}|{HMM}(/\w[\w.-]*)+")


@contextmanager
def new_pack(target: Path) -> Iterator[Path]:
    """Yield an empty folder, whose files become a pack when the block succeeds.

    Args:
        target: file, if its name ends in .asrhf, otherwise folder; an old pack is replaced.

    Yields:
        The folder.

    Raises:
        InputError: something else than a pack is at `target`.
    """
    fits = target.is_file() if target.suffix == SUFFIX else (target / MANIFEST).is_file()
    if target.exists() and not fits:
        raise InputError(
            f"{target}: is there already, and is no pack",
            expected=f"a new name: FILE{SUFFIX}, or a folder",
            remedy="take another name, or remove it",
        )
    if target.suffix != SUFFIX:
        with replaced_folder(target) as folder:
            yield folder
        return
    with tempfile.TemporaryDirectory(prefix="asr-hf-") as made:
        folder = Path(made)
        yield folder
        with atomic_path(target) as path, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name in file_names(folder):
                file.write(folder / name, name)


def file_names(folder: Path) -> list[str]:
    """Return the files in a folder and below it, by their names from there."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in files)


def described_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Return size and digest of each file in a folder, as manifests have them."""
    return {
        name: {"bytes": (folder / name).stat().st_size, "digest": file_digest(folder / name)}
        for name in file_names(folder)
    }


def is_pack(path: Path) -> bool:
    """Return whether a path looks like a pack: a file, or a folder with a manifest."""
    return path.is_file() or (path / MANIFEST).is_file()


@contextmanager
def unpacked(path: Path, everything: bool = True) -> Iterator[Path]:
    """Yield the folder of a pack's files.

    Args:
        path: the pack.
        everything: whether all files are needed; otherwise the manifest may be alone.

    Yields:
        The folder, which for a file is a temporary one.

    Raises:
        InputError: the path is no pack, or unzips to too much.
    """
    if (path / MANIFEST).is_file():
        yield path
        return
    if not path.is_file():
        raise InputError(
            f"{path}: no pack there",
            expected=f"a file that ends in {SUFFIX} or a folder with {MANIFEST}",
            remedy="asr-hf pack exp/RUN FILE makes one",
        )
    with tempfile.TemporaryDirectory(prefix="asr-hf-") as made:
        try:
            with zipfile.ZipFile(path) as zipped:
                _extract(zipped, Path(made), path, everything)
        except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
            refuse(path, f"cannot be unpacked: {error}")
        yield Path(made)


def _extract(zipped: zipfile.ZipFile, folder: Path, path: Path, everything: bool) -> None:
    """Extract the files that belong to a pack, as far as their sizes are plausible.

    Raises:
        InputError: there are others, or they are too large.
    """
    infos = {info.filename: info for info in zipped.infolist()}
    if MANIFEST not in infos or infos[MANIFEST].file_size > _MOST_MANIFEST:
        refuse(path, f"has no {MANIFEST}")
    strange = [name for name in infos if name != MANIFEST and not _NAME.fullmatch(name)]
    if strange:
        refuse(path, f"holds {strange[0]!r}, which belongs to no pack")
    size = sum(info.file_size for info in infos.values())
    if size > max_unzipped(path.stat().st_size):
        refuse(path, f"unzips to {size} bytes")
    for name in infos if everything else [MANIFEST]:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with zipped.open(name) as source, open(target, "wb") as file:
            shutil.copyfileobj(source, file)


def manifest(folder: Path, path: Path) -> dict[str, Any]:
    """Return the manifest of a pack.

    Args:
        folder: folder of its files.
        path: the pack, for messages.

    Raises:
        InputError: it is damaged, or of another format.
    """
    about = read_json(folder / MANIFEST)
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        version = about.get("format") if isinstance(about, dict) else None
        raise InputError(
            f"{path}: a pack of format {str(version)[:20]}",
            expected=f"format {FORMAT}",
            remedy="make it with this version of asr-hf, or read it with that of its maker",
        )
    return about


def check_files(folder: Path, files: Any, path: Path) -> None:
    """Compare all files of a pack with their sizes and digests.

    Args:
        folder: folder of the files.
        files: what the manifest says of them.
        path: the pack, for messages.

    Raises:
        InputError: one is missing, another or too many.
    """
    if not isinstance(files, Mapping):
        refuse(path, "its manifest names no files")
    if different := sorted(set(files) ^ (set(file_names(folder)) - {MANIFEST})):
        refuse(path, f"{different[0]} is missing, or not of it")
    for name, known in files.items():
        if not _NAME.fullmatch(name) or not isinstance(known, Mapping):
            refuse(path, f"names {name!r}, which belongs to no pack")
        file = folder / name
        if file.is_symlink() or file.stat().st_size != known.get("bytes"):
            refuse(path, f"{name} has another size")
        if file_digest(file) != known.get("digest"):
            refuse(path, f"{name} has another content")


def refuse(path: Path, what: str) -> NoReturn:
    """Refuse a pack.

    Raises:
        InputError: always.
    """
    raise InputError(
        f"{path}: damaged, or no pack: {what}", remedy="make the pack again with asr-hf pack"
    )
