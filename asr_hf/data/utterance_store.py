"""A store of items of utterances, packed into a few files, whose checksums are compared.

An utterance has one item, or one a piece where the description says that it is cut into pieces.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.arrays import RowFile, load_array
from asr_hf.data.checksums import StoreChecksums, crc32
from asr_hf.data.header import Header
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.provenance import digest, file_digest

OFFSETS, FRAMES, UTTERANCES = "offsets.npy", "frames.npy", "utterances.txt"
_COUNT = np.dtype(np.int64)


@dataclass(frozen=True)
class StoreForm:
    """What stores of one kind have in common.

    Args:
        name: name and version of the format.
        header: name of the file that describes the store.
        files: dtype of the rows of each file, by its name, in the order of the columns of
            offsets.npy. An item has some rows of each.
        item: what an utterance has, for messages.
        items: what the store has, for messages.
        verb: command that makes it.
    """

    name: str
    header: str
    files: Mapping[str, np.dtype[Any]]
    item: str
    items: str
    verb: str

    @property
    def remedy(self) -> str:
        """What the user can do if a store is damaged."""
        return f"make the {self.item}s again with: {self.verb}"


class UtteranceStore(ABC):
    """A store that is open for reading; see `open`.

    Args:
        folder: folder of the store.
        header: description of the store.

    Attributes:
        folder: folder of the store.
        about: content of the description.
    """

    form: ClassVar[StoreForm]

    def __init__(self, folder: Path, header: Header) -> None:
        self.folder, self.about = folder, header.about
        self._seal = StoreChecksums(folder, self.about, self.form.header, self.form.remedy)
        self._count = header.count("utterances")
        columns = len(self.form.files)
        offsets = self._array(OFFSETS, _COUNT, (self._count + 1, columns))
        self._frames = self._array(FRAMES, np.dtype(np.int32), (self._count,))
        if offsets[0].any() or (offsets[1:] <= offsets[:-1]).any():
            raise InputError(
                f"{folder / OFFSETS}: not the offsets of this store",
                expected=f"{self._count + 1} rows that rise from zero",
                remedy=self.form.remedy,
            )
        self._rows: dict[str, tuple[RowFile, NDArray[np.int64]]] = {}
        for (name, dtype), bounds in zip(self.form.files.items(), offsets.T, strict=True):
            self._open_rows(name, dtype, bounds)
        self._sums = self._seal.of_utterances((self._count,))
        self._checked: set[int] = set()

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """Open a store.

        Args:
            folder: folder of the store.

        Returns:
            The store.

        Raises:
            InputError: the store is missing, truncated, damaged or of another format.
        """
        folder, form = Path(folder), cls.form
        if not (folder / form.header).is_file():
            raise InputError(
                f"{folder}: no {form.items}",
                expected=f"{form.header} and {next(iter(form.files))}",
                remedy=f"{form.verb} with the same overrides makes them",
            )
        return cls(folder, Header.read(folder / form.header, form.name, form.remedy))

    def _array(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """Read an array of the store into memory, and check it."""
        self._seal.check(name)
        return load_array(self.folder / name, dtype, shape, self.form.remedy)

    def _open_rows(self, name: str, dtype: np.dtype[Any], bounds: NDArray[np.int64]) -> None:
        """Open a file of rows: those of an item lie between two neighbours of `bounds` [U+1]."""
        rows = RowFile(self.folder / name, dtype, (int(bounds[-1]),), self.form.remedy)
        self._rows[name] = rows, bounds

    @cached_property
    def utterances(self) -> list[str]:
        """The utterances that have an item, in the order of the store.

        Raises:
            InputError: utterances.txt does not fit the store.
        """
        return list(self._places)

    @cached_property
    def _places(self) -> dict[str, range]:
        """The numbers of each utterance's items."""
        path = self.folder / UTTERANCES
        self._seal.check(UTTERANCES)
        try:
            lines = path.read_text(encoding="utf-8").split("\n")[:-1]
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: cannot be read: {error}", remedy=self.form.remedy) from error
        begins = [n for n, name in enumerate(lines) if not n or name != lines[n - 1]]
        wanted = len(begins) if self.about.get("pieces") else len(lines)
        if len(lines) != self._count or len(set(lines)) != wanted:
            raise InputError(
                f"{path}: {len(lines)} lines, {len(set(lines))} of them different",
                expected=f"{self._count} utterances",
                remedy=self.form.remedy,
            )
        bounds = pairwise([*begins, len(lines)])
        return {lines[first]: range(first, end) for first, end in bounds}

    def __contains__(self, name: object) -> bool:
        return name in self._places

    @property
    def has_checksums(self) -> bool:
        """Whether the store has checksums."""
        return self._sums is not None

    def digests(self) -> dict[str, str]:
        """Return the digests that identify the store: of its description and of the items."""
        digests = {self.form.header: file_digest(self.folder / self.form.header)}
        if self._sums is not None:
            digests[next(iter(self.form.files))] = digest(self._sums.tolist())
        return digests

    def num_frames(self, name: str) -> int:
        """Return the number of frames of an utterance.

        Raises:
            InputError: the utterance is not in the store.
        """
        numbers = self._numbers(name)
        return int(self._frames[numbers.start : numbers.stop].sum())

    def check(self) -> Iterator[int]:
        """Check every item.

        Yields:
            The number of frames of each utterance, when its item is done.

        Raises:
            InputError: an item is damaged.
        """
        for name in self.utterances:
            self._touch(name)
            yield self.num_frames(name)

    @abstractmethod
    def _touch(self, name: str) -> None:
        """Read the item of an utterance, and check it."""

    def _check_once(self, number: int, check: Callable[[], None]) -> None:
        """Check the form of an item, unless it was found good before."""
        if number not in self._checked:
            check()
            self._checked.add(number)

    def _read(self, name: str, number: int) -> list[NDArray[Any]]:
        """Return the rows of each file of an utterance's item, which cannot be written to.

        Raises:
            InputError: the checksum is wrong.
        """
        found = []
        for rows, bounds in self._rows.values():
            some = rows.read([(int(bounds[number]), int(bounds[number + 1]))])
            some.flags.writeable = False
            found.append(some)
        if self._sums is not None and crc32(*found) != self._sums[number]:
            raise self._seal.damaged(" or ".join(self._rows), name)
        return found

    def _numbers(self, name: str) -> range:
        """Return the numbers of an utterance's items.

        Raises:
            InputError: the utterance is not in the store.
        """
        if name not in self._places:
            raise InputError(
                f"{self.folder}: no {self.form.item} of {name}",
                expected="an utterance that was not skipped",
                remedy=self.form.remedy,
            )
        return self._places[name]
