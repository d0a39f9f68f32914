"""Carries the HMM system and alignments of a clean corpus over to a corpus of its copies."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from asr_hf.data.alignment import Alignments
from asr_hf.data.ark import ArkReader
from asr_hf.data.augment.carry import FrameGrid
from asr_hf.data.augment.table import Copy, read_copies
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.hmm.system import HmmSystem
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.provenance import Artefact, Source
from asr_hf.runtime.skips import SkipList
from asr_hf.scoring.ctm import CtmWord, read_ctm
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.expected import require
from asr_hf.stages.sources.layout import clean_alignment_folder, clean_system_folder


def clean_system(settings: Settings) -> tuple[HmmSystem, Source]:
    """Load the HMM system of the clean corpus.

    Args:
        settings: settings of the command, of the corpus of copies.

    Returns:
        The HMM system, and the source that identifies it.

    Raises:
        InputError: the clean corpus is not aligned.
    """
    folder, name = clean_system_folder(settings), settings.corpus.clean
    known = require(folder, f"asr-hf align +recipe={name}")
    if known is None:
        raise InputError(
            f"{folder}: no HMM system to carry over to {settings.corpus.name!r}",
            expected=f"the corpus {name!r}, aligned",
            remedy=f"make data-{name}   (or: asr-hf align +recipe={name})",
        )
    return HmmSystem.load(folder), known.source


def clean_alignment(settings: Settings, name: str) -> Artefact:
    """Return the artefact with the alignments of the clean set that the set `name` is made from.

    Raises:
        InputError: the clean set is not aligned.
    """
    clean, tag = settings.corpus.clean, settings.alignment.tag
    folder = clean_alignment_folder(settings, name)
    known = require(folder, f"asr-hf align +recipe={clean}")
    if known is None:
        raise InputError(
            f"{folder}: no alignments to carry over to {name!r} of {settings.corpus.name!r}",
            expected=f"those that asr-hf align made of {clean!r}"
            + ("" if tag is None else f" under alignment.tag={tag}"),
            remedy=f"asr-hf align +recipe={clean} first",
        )
    return known


def carried_alignments(
    settings: Settings, data: DataDir, fbank: ArkReader, skips: SkipList
) -> Alignments:
    """Return the alignment of every utterance whose clean recording has one.

    Args:
        settings: settings of the command.
        data: data directory of a set of copies.
        fbank: features of the set.
        skips: list that copies are added to which do not fit their clean recording.
    """
    clean = Alignments.read(clean_alignment_folder(settings, data.path.name))
    grid = FrameGrid(settings.features.frame_length, settings.features.frame_shift)
    copies = read_copies(data.path)
    carried: dict[str, np.ndarray] = {}
    for utterance in data.utterances:
        name, speed = _origin(utterance.id, copies)
        if name not in clean.pdfs or utterance.id not in fbank:
            continue
        try:
            num_frames = len(fbank[utterance.id])
            carried[utterance.id] = grid.carry(clean.pdfs[name], num_frames, speed)
        except InputError as error:
            skips.add(utterance.id, f"{error.problem}, expected {error.expected}")
    return Alignments(carried, clean.num_pdfs)


def carried_ctm(settings: Settings, data: DataDir, kind: str) -> str:
    """Return the ctm of phones or words, its times divided by each copy's speed.

    Args:
        settings: settings of the command.
        data: data directory of a set of copies.
        kind: "phones" or "words".

    Raises:
        InputError: the ctm of the clean set is missing or damaged.
    """
    path = clean_alignment_folder(settings, data.path.name) / f"{kind}.ctm"
    segments: dict[str, list[CtmWord]] = {}
    try:
        for segment in read_ctm(path):
            segments.setdefault(segment.recording, []).append(segment)
    except InputError as error:
        remedy = f"asr-hf align +recipe={settings.corpus.clean} again"
        raise InputError(error.problem, expected=error.expected, remedy=remedy) from error
    copies = read_copies(data.path)
    text = []
    for utterance in data.utterances:
        name, speed = _origin(utterance.id, copies)
        for segment in segments.get(name, []):
            times = f"{segment.start / speed:.3f} {segment.duration / speed:.3f}"
            text.append(f"{utterance.id} {segment.channel} {times} {segment.word}\n")
    return "".join(text)


def copies_source(folder: Path) -> Source:
    """Return the source that carried alignments depend on: origin and speed of each copy."""
    copies = read_copies(folder)
    return Source.of_values({name: [c.clean, c.effects.speed] for name, c in copies.items()})


def _origin(utterance: str, copies: dict[str, Copy]) -> tuple[str, float]:
    """Return the clean utterance that an utterance was made from, and how much faster it is."""
    copy = copies.get(utterance)
    return (utterance, 1.0) if copy is None else (copy.clean, copy.effects.speed)
