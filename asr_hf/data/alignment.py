"""Frame alignments: the pdf of every frame."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr_hf.data.ark import ArkReader, ArkWriter, read_ark
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json, write_json


@dataclass(frozen=True)
class Alignments:
    """Pdf ids of every frame of every utterance.

    Args:
        pdfs: utterance -> pdf ids [frames], int32.
        num_pdfs: how many pdfs there are.
    """

    pdfs: dict[str, np.ndarray]
    num_pdfs: int

    def __post_init__(self) -> None:
        for utterance, labels in self.pdfs.items():
            if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
                raise InputError(
                    f"alignment of {utterance}: {labels.dtype} {labels.shape}",
                    expected="a vector of pdf ids",
                )
            if len(labels) and not 0 <= labels.min() <= labels.max() < self.num_pdfs:
                worst = labels.max() if labels.max() >= self.num_pdfs else labels.min()
                raise InputError(
                    f"alignment of {utterance}: pdf {worst} at frame "
                    f"{int(np.argmax(labels == worst))}",
                    expected=f"pdfs from 0 to {self.num_pdfs - 1}",
                    remedy="use the alignment and the number of pdfs of the same model",
                )

    def write(self, folder: Path) -> None:
        """Write <folder>/ali.ark, ali.scp and ali.json."""
        with ArkWriter(folder, "ali") as ark:
            for utterance, labels in self.pdfs.items():
                ark.write(utterance, labels.astype(np.int32))
        write_json(folder / "ali.json", {"num_pdfs": self.num_pdfs})

    @classmethod
    def read(cls, folder: Path) -> Alignments:
        """Read what `write` wrote."""
        ark = ArkReader(folder / "ali.scp")
        num_pdfs = int(read_json(folder / "ali.json")["num_pdfs"])
        return cls({key: ark[key].astype(np.int32) for key in ark}, num_pdfs)

    @classmethod
    def from_kaldi(cls, path: Path | str, num_pdfs: int | None = None) -> Alignments:
        """Read pdf alignments made elsewhere: an ark, binary or text, gzipped or not.

        Args:
            path: the ark (as ali-to-pdf writes it).
            num_pdfs: how many pdfs there are; None takes the largest id plus one.
        """
        raw = _contents(path)
        binary = b"\0" in raw[:4096]
        entries = read_ark(path) if binary else _text_entries(path, raw.decode("utf-8"))
        pdfs = {key: np.asarray(labels).astype(np.int32) for key, labels in entries}
        if not pdfs:
            raise InputError(f"{path}: holds no alignments")
        if num_pdfs is None:
            num_pdfs = 1 + max(int(labels.max()) for labels in pdfs.values() if len(labels))
        return cls(pdfs, num_pdfs)


def _contents(path: Path | str) -> bytes:
    try:
        with open(path, "rb") as file:
            raw = file.read()
        return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error


def _text_entries(path: Path | str, text: str) -> Iterator[tuple[str, np.ndarray]]:
    for number, line in enumerate(text.splitlines(), start=1):
        key, *ids = line.split()
        try:
            yield key, np.array([int(i) for i in ids], dtype=np.int32)
        except ValueError as error:
            raise InputError(
                f"{path}:{number}: alignment of {key}: {error}", expected="integer pdf ids"
            ) from error
