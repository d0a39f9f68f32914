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
        files: files of its alignments, in the order of their numbers.
        transitions: transition model of its final.mdl.
    """

    path: Path
    files: list[Path]
    transitions: KaldiTransitionModel

    @classmethod
    def open(cls, path: Path) -> AlignmentFolder:
        """Find the alignments and read the model; where there is a tree, it must fit the model.

        Returns:
            The folder.

        Raises:
            InputError: a file is missing or damaged, or the files do not fit one another.
        """
        if not path.is_dir():
            raise InputError(
                f"{path}: there is no such folder",
                expected="a Kaldi alignment folder: ali.*.gz and final.mdl",
                remedy="set alignment.from_kaldi to it",
            )
        refuse_subsampled(path)
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
        """Read the alignments.

        Returns:
            The transition ids [frames] by utterance.

        Raises:
            InputError: a file is damaged, an utterance is there twice, or an id is no transition.
        """
        max_id = self.transitions.num_transition_ids
        alignments: dict[str, NDArray[np.int32]] = {}
        for file in self.files:
            for utterance, ids in read_integer_table(file):
                if utterance in alignments:
                    raise InputError(
                        f"{file}: alignment of {utterance}: for the second time",
                        remedy="remove files that other runs left in the folder",
                    )
                wrong = np.flatnonzero((ids < 1) | (ids > max_id))
                if len(wrong):
                    raise InputError(
                        f"{file}: alignment of {utterance}: {ids[wrong[0]]} at frame {wrong[0]}",
                        expected=f"transition ids from 1 to {max_id}",
                        remedy="use the final.mdl that these alignments were made with; pdf ids "
                        "(of ali-to-pdf) go into alignment.from_ark",
                    )
                alignments[utterance] = ids
        return alignments


def read_alignments(folders: Sequence[Path]) -> Alignments:
    """Read the pdf alignments of one or more folders made with the same model.

    Returns:
        The alignments of all folders.

    Raises:
        InputError: a folder is damaged or empty, the models differ, or an utterance is in two.
    """
    transition_ids, transitions = read_transitions(folders)
    pdf_of = transitions.pdf_of
    return Alignments(
        {name: pdf_of[ids] for name, ids in transition_ids.items()}, transitions.num_pdfs
    )


def read_transitions(
    folders: Sequence[Path],
) -> tuple[dict[str, NDArray[np.int32]], KaldiTransitionModel]:
    """Read the alignments of one or more folders made with the same model.

    Returns:
        The transition ids [frames] by utterance, and the model.

    Raises:
        InputError: see `read_alignments`.
    """
    merged: dict[str, NDArray[np.int32]] = {}
    opened = [AlignmentFolder.open(path) for path in folders]
    first = opened[0]
    for folder in opened:
        if not np.array_equal(folder.transitions.pdf_of, first.transitions.pdf_of):
            raise InputError(
                f"{folder.path / 'final.mdl'}: its transition ids stand for other pdfs",
                expected=f"the model of {first.path}",
                remedy="align all data with the same model",
            )
        alignments = folder.read()
        if twice := sorted(alignments.keys() & merged.keys()):
            raise InputError(
                f"{folder.path}: alignment of {twice[0]}: it is in another folder too",
                remedy="name each alignment once in alignment.from_kaldi",
            )
        merged |= alignments
    if not any(len(ids) for ids in merged.values()):
        raise InputError(f"{first.path}: its files hold no alignments", expected="utterances")
    return merged, first.transitions


def has_numbered(folder: Path, stem: str) -> bool:
    """Whether a folder has files of this stem that end in a number."""
    return any(_number(path, stem) is not None for path in folder.glob(f"{stem}.*"))


def numbered_files(folder: Path, stem: str) -> list[Path]:
    """List the files <stem>.1.gz, <stem>.2.gz ... (gzipped or not) of a folder.

    Returns:
        The files in the order of their numbers.

    Raises:
        InputError: there are none, a number is there twice, or they do not fit `num_jobs`.
    """
    by_number: dict[int, Path] = {}
    for path in sorted(folder.glob(f"{stem}.*")):
        number = _number(path, stem)
        if number is None:
            continue
        if number in by_number:
            raise InputError(
                f"{path}: beside {by_number[number].name}", remedy="remove one of the two"
            )
        by_number[number] = path
    if not by_number:
        raise InputError(
            f"{folder}: no files {stem}.*.gz", expected=f"{stem}.1.gz, {stem}.2.gz ..."
        )
    _check_jobs(folder, by_number)
    return [by_number[number] for number in sorted(by_number)]


def refuse_subsampled(folder: Path) -> None:
    """Refuse a folder of a chain model, which has one label for several frames.

    Raises:
        InputError: frame_subsampling_factor is not 1.
    """
    file = folder / "frame_subsampling_factor"
    text = file.read_text(encoding="utf-8", errors="replace").strip() if file.is_file() else "1"
    if text != "1":
        raise InputError(
            f"{file}: {text[:20]}: one label for {text[:20]} frames, as chain models align",
            expected="a label for every frame of 10 ms",
            remedy="align with the GMM system (Kaldi's align_fmllr.sh or align_si.sh)",
        )


def _number(path: Path, stem: str) -> int | None:
    match = re.fullmatch(rf"{re.escape(stem)}\.([0-9]{{1,9}})(\.gz)?", path.name)
    return int(match[1]) if match else None


def _check_jobs(folder: Path, by_number: dict[int, Path]) -> None:
    """Compare the files with num_jobs, which Kaldi's scripts write beside them.

    Raises:
        InputError: files are missing, or left over from other runs; or num_jobs is no number.
    """
    file = folder / "num_jobs"
    if not file.is_file():
        return
    text = file.read_text(encoding="utf-8", errors="replace").strip()
    if not re.fullmatch("[1-9][0-9]{0,5}", text):
        raise InputError(
            f"{file}: {text[:40]!r}", expected="the number of jobs", remedy="mend or remove it"
        )
    example, expected = by_number[min(by_number)], range(1, int(text) + 1)
    names = {
        n: example.name.replace(f".{min(by_number)}", f".{n}", 1) for n in [*expected, *by_number]
    }
    for problem, numbers, remedy in (
        ("missing", expected, "copy the whole folder, or run the missing jobs"),
        ("more than num_jobs", sorted(by_number), "remove what other runs left, or mend num_jobs"),
    ):
        odd = [n for n in numbers if (n in by_number) != (n in expected)]
        if odd:
            listed = ", ".join(names[n] for n in odd[:5]) + (" ..." if len(odd) > 5 else "")
            verb = "is" if len(odd) == 1 else "are"
            raise InputError(
                f"{folder}: {listed} {verb} {problem} ({len(odd)} of {len(numbers)} files)",
                expected=f"files 1 to {text}, as num_jobs says",
                remedy=remedy,
            )
