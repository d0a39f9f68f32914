"""Frame alignments, which give the pdf of every frame."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr_hf.data.ark import ArkReader, ArkWriter, read_ark
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json, write_json
from asr_hf.runtime.unzip import read_unzipped


@dataclass(frozen=True)
class Alignments:
    """The pdf ids of every frame of every utterance.

    Args:
        pdfs: pdf ids [F] of each utterance, integers.
        num_pdfs: number of pdfs.

    Raises:
        InputError: a label is not a pdf; the message names the utterance and the frame.
    """

    pdfs: dict[str, np.ndarray]
    num_pdfs: int

    def __post_init__(self) -> None:
        for utterance, labels in self.pdfs.items():
            if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
                raise InputError(
                    f"alignment of {utterance}: {labels.dtype} of shape {labels.shape}",
                    expected="a vector of integer pdf ids",
                )
            wrong = np.flatnonzero((labels < 0) | (labels >= self.num_pdfs))
            if len(wrong):
                raise InputError(
                    f"alignment of {utterance}: pdf {labels[wrong[0]]} at frame {wrong[0]}",
                    expected=f"pdfs from 0 to {self.num_pdfs - 1}",
                    remedy="use the alignment and the number of pdfs of the same model "
                    "(pdf ids, as Kaldi's ali-to-pdf writes them, not transition ids)",
                )

    def write(self, folder: Path) -> None:
        """Write ali.ark, ali.scp and ali.json into a folder."""
        with ArkWriter(folder, "ali") as ark:
            for utterance, labels in self.pdfs.items():
                ark.write(utterance, labels.astype(np.int32))
        write_json(folder / "ali.json", {"num_pdfs": self.num_pdfs})

    @classmethod
    def read(cls, folder: Path) -> Alignments:
        """Read the alignments that `write` has written.

        Args:
            folder: folder of ali.ark, ali.scp and ali.json.

        Returns:
            The alignments.

        Raises:
            InputError: a file is missing or damaged.
        """
        ark, path = ArkReader(folder / "ali.scp"), folder / "ali.json"
        description = read_json(path)
        count = description.get("num_pdfs") if isinstance(description, dict) else None
        if not isinstance(count, int):
            raise InputError(
                f"{path}: num_pdfs is {count!r}",
                expected="a whole number",
                remedy="run asr-hf align again",
            )
        return _alignments_from(cls, ark.path, {key: ark[key] for key in ark}, count)

    @classmethod
    def from_kaldi(cls, path: Path | str, num_pdfs: int | None = None) -> Alignments:
        """Read pdf alignments from a Kaldi archive, binary or text, gzipped or not.

        Args:
            path: the archive, as ali-to-pdf writes it.
            num_pdfs: number of pdfs; None takes the largest id plus one.

        Returns:
            The alignments.

        Raises:
            InputError: the archive cannot be read, is corrupt or empty, or holds an utterance
                twice.
        """
        raw = _contents(path)
        pdfs: dict[str, np.ndarray] = {}
        for key, labels in read_ark(path) if b"\0" in raw[:4096] else _text_entries(path, raw):
            if key in pdfs:
                raise InputError(f"{path}: alignment of {key}: twice", remedy="keep one of them")
            pdfs[key] = labels
        if not any(len(labels) for labels in pdfs.values()):
            raise InputError(f"{path}: holds no alignments", expected="an ark of pdf ids")
        if num_pdfs is None:
            num_pdfs = 1 + int(max(labels.max() for labels in pdfs.values() if labels.size))
        return _alignments_from(cls, path, pdfs, num_pdfs)


def _alignments_from(
    cls: type[Alignments], path: Path | str, pdfs: dict[str, np.ndarray], num_pdfs: int
) -> Alignments:
    """Return the alignments read from `path`; errors name that file."""
    try:
        return cls(pdfs, num_pdfs)
    except InputError as error:
        raise InputError(
            f"{path}: {error.problem}", expected=error.expected, remedy=error.remedy
        ) from error


def _contents(path: Path | str) -> bytes:
    try:
        return read_unzipped(path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read: {error.strerror or error}",
            expected="an ark of pdf ids, gzipped or not",
        ) from error


def _text_entries(path: Path | str, raw: bytes) -> Iterator[tuple[str, np.ndarray]]:
    for number, line in enumerate(raw.split(b"\n"), start=1):
        if not line.strip():
            continue
        key, *ids = line.split()
        name = key.decode(errors="replace")
        try:
            yield name, np.array([int(i) for i in ids], dtype=np.int32)
        except (ValueError, OverflowError) as error:
            raise InputError(
                f"{path}:{number}: alignment of {name}: {error}", expected="integer pdf ids"
            ) from error
