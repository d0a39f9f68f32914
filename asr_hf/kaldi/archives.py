"""Finds the archives of an scp file, also after an experiment was moved."""

from __future__ import annotations

import logging
import os
from pathlib import Path, PurePath

from asr_hf.runtime.errors import InputError

log = logging.getLogger(__name__)


class ArchiveFinder:
    """Finds the archives that one scp file names.

    Kaldi's recipes write absolute paths, or paths relative to the folder that they are run in,
    which is one above the data directory, or further up. Where an absolute path leads nowhere,
    the experiment may have been moved: its longest suffix that exists below the working folder,
    the folder of the scp file or one above it is taken.

    Args:
        scp: the scp file.
    """

    def __init__(self, scp: Path) -> None:
        self.scp = scp
        self._found: dict[str, str] = {}
        self._moved: dict[str, int] = {}

    def find(self, archive: str) -> str:
        """Find an archive by its path in the scp file.

        Returns:
            The absolute path.

        Raises:
            InputError: there is no such file, or several files may be meant.
        """
        if archive not in self._found:
            self._found[archive] = self._as_named(archive) or self._elsewhere(archive)
        if archive in self._moved:
            self._moved[archive] += 1
        return self._found[archive]

    def warn_of_moved(self) -> None:
        """Warn once of the archives that are not where the scp file says."""
        if not self._moved:
            return
        first = next(iter(self._moved))
        log.warning(
            "%s: %d entries name %d archives that are not there; the experiment was moved, it "
            "seems: %s is taken from %s%s",
            self.scp,
            sum(self._moved.values()),
            len(self._moved),
            first,
            self._found[first],
            ", the others likewise" if len(self._moved) > 1 else "",
        )

    def _as_named(self, archive: str) -> str | None:
        for base in self._bases():
            if path := _file(base, archive):
                return path
        return None

    def _elsewhere(self, archive: str) -> str:
        parts = [part for part in PurePath(archive).parts if part not in ("/", "..")]
        for start in range(len(parts)):
            suffix = os.path.join(*parts[start:])
            files = (_file(base, suffix) for base in self._bases())
            # A file may be reached through links, too.
            candidates = {os.path.realpath(path): path for path in files if path}
            if len(candidates) > 1:
                first, second, *_ = candidates.values()
                raise InputError(
                    f"{self.scp}: there is no archive {archive}, and two files that may be it: "
                    f"{first} and {second}",
                    expected="one file of this name",
                    remedy="mend the paths in the scp file, or remove the file that is not meant",
                )
            if candidates:
                self._moved[archive] = 0
                return next(iter(candidates.values()))
        raise InputError(
            f"{self.scp}: there is no archive {archive}",
            expected=f"this file, or the end of its path below {Path.cwd()} or a folder above "
            f"{self.scp}",
            remedy="run the command in the folder of the Kaldi experiment, or mend the scp file",
        )

    def _bases(self) -> list[Path]:
        return [Path(), *self.scp.resolve().parents]


def _file(base: Path, archive: str) -> str | None:
    """Make the path of a file below `base` absolute, if there is such a file.

    Unlike Path's, os.path's functions take names that no file can have.

    Returns:
        The path, or None.
    """
    path = os.path.join(base, archive)
    return os.path.abspath(path) if os.path.isfile(path) else None
