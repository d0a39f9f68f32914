"""Alignments of a Kaldi experiment: `ali.*.gz` of transition ids, or arks of pdfs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.alignment import Alignments
from asr_hf.kaldi.integer_table import read_integer_table
from asr_hf.kaldi.transition_model import KaldiTransitionModel, read_transition_model
from asr_hf.kaldi.tree import read_tree
from asr_hf.runtime.errors import InputError


@dataclass(frozen=True)
class AlignmentFolder:
    """A folder as Kaldi's align scripts leave it.

    Args:
        path: the folder.
        files: its alignments, in the order of their numbers.
        transitions: the transition model of its final.mdl.
    """

    path: Path
    files: list[Path]
    transitions: KaldiTransitionModel

    @classmethod
    def open(cls, path: Path) -> AlignmentFolder:
        """Find the alignments and read the model; where there is a tree, it must fit the model.

        Raises:
            InputError: one is missing or damaged, or they do not fit one another.
        """
        if not path.is_dir():
            raise InputError(
                f"{path}: there is no such folder",
                expected="a Kaldi alignment folder: ali.*.gz and final.mdl",
                remedy="set alignment.from_kaldi to it",
            )
        transitions = read_transition_model(path / "final.mdl")
        if (path / "tree").is_file():
            leaves = read_tree(path / "tree").num_pdfs
            if leaves != transitions.num_pdfs:
                raise InputError(
                    f"{path / 'tree'}: {leaves} pdfs",
                    expected=f"{transitions.num_pdfs}, as in {path / 'final.mdl'}",
                    remedy="copy tree and final.mdl of the same experiment",
                )
        return cls(path, numbered_files(path, "ali"), transitions)

    def read(self) -> dict[str, NDArray[np.int32]]:
        """The transition ids of every utterance [frames].

        Raises:
            InputError: a file is damaged, an utterance is there twice, or an id is no transition.
        """
        most = self.transitions.num_transition_ids
        found: dict[str, NDArray[np.int32]] = {}
        for file in self.files:
            for utterance, ids in read_integer_table(file):
                if utterance in found:
                    raise InputError(
                        f"{file}: alignment of {utterance}: for the second time",
                        remedy="remove files that other runs left in the folder",
                    )
                wrong = np.flatnonzero((ids < 1) | (ids > most))
                if len(wrong):
                    raise InputError(
                        f"{file}: alignment of {utterance}: {ids[wrong[0]]} at frame {wrong[0]}",
                        expected=f"transition ids from 1 to {most}",
                        remedy="use the final.mdl that these alignments were made with; pdf ids "
                        "(of ali-to-pdf) go into alignment.from_ark",
                    )
                found[utterance] = ids
        return found


def read_alignments(folders: Sequence[Path]) -> Alignments:
    """The pdf alignments of one or more folders made with the same model.

    Raises:
        InputError: a folder is damaged or empty, the models differ, or an utterance is in two.
    """
    every, transitions = read_transitions(folders)
    pdf_of = transitions.pdf_of
    return Alignments({name: pdf_of[ids] for name, ids in every.items()}, transitions.num_pdfs)


def read_transitions(
    folders: Sequence[Path],
) -> tuple[dict[str, NDArray[np.int32]], KaldiTransitionModel]:
    """The transition ids of every utterance [frames], and the model they are of.

    Raises:
        InputError: see `read_alignments`.
    """
    every: dict[str, NDArray[np.int32]] = {}
    opened = [AlignmentFolder.open(path) for path in folders]
    first = opened[0]
    for folder in opened:
        if not np.array_equal(folder.transitions.pdf_of, first.transitions.pdf_of):
            raise InputError(
                f"{folder.path / 'final.mdl'}: its transition ids stand for other pdfs",
                expected=f"the model of {first.path}",
                remedy="align all data with the same model",
            )
        found = folder.read()
        if twice := sorted(found.keys() & every.keys()):
            raise InputError(
                f"{folder.path}: alignment of {twice[0]}: it is in another folder too",
                remedy="name each alignment once in alignment.from_kaldi",
            )
        every |= found
    if not any(len(ids) for ids in every.values()):
        raise InputError(f"{first.path}: its files hold no alignments", expected="utterances")
    return every, first.transitions


def numbered_files(folder: Path, stem: str) -> list[Path]:
    """The files <stem>.1.gz, <stem>.2.gz ... (gzipped or not) of a folder, by their numbers.

    Raises:
        InputError: there are none, one is there twice, or one of `num_jobs` is missing.
    """
    found: dict[int, Path] = {}
    for path in sorted(folder.glob(f"{stem}.*")):
        match = re.fullmatch(rf"{re.escape(stem)}\.([0-9]+)(\.gz)?", path.name)
        if match is None:
            continue
        number = int(match[1])
        if number in found:
            raise InputError(f"{path}: beside {found[number].name}", remedy="remove one of the two")
        found[number] = path
    if not found:
        raise InputError(
            f"{folder}: no files {stem}.*.gz", expected=f"{stem}.1.gz, {stem}.2.gz ..."
        )
    _check_jobs(folder, stem, found)
    return [found[number] for number in sorted(found)]


def _check_jobs(folder: Path, stem: str, found: dict[int, Path]) -> None:
    file = folder / "num_jobs"
    text = file.read_text(encoding="utf-8", errors="replace").strip() if file.is_file() else ""
    if not re.fullmatch("[0-9]{1,6}", text):
        return
    missing = [n for n in range(1, int(text) + 1) if n not in found]
    if missing:
        raise InputError(
            f"{folder}: {stem}.{missing[0]}.gz is missing",
            expected=f"files 1 to {text}, as num_jobs says",
            remedy="copy the whole folder, or run the missing jobs",
        )
