"""Packs lattices that Kaldi made for sequence training."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.lattice import Lattice
from asr_hf.data.lattice_writer import LabelMap, write_lattices
from asr_hf.data.store import FrameStore
from asr_hf.hmm.lattice.kaldi_lattices import checked_lattice, read_lattices
from asr_hf.kaldi.alignments import numbered_files, read_transitions, refuse_subsampled
from asr_hf.kaldi.graph import read_symbols
from asr_hf.kaldi.transition_model import KaldiTransitionModel, read_transition_model
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.progress import progress
from asr_hf.runtime.skips import SkipList
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.external import alignment_folders
from asr_hf.stages.sources.layout import lattices_folder, store_folder

log = logging.getLogger(__name__)


def import_lattices(settings: Settings) -> dict[str, Any]:
    """Pack the lattices of `lattices.from_kaldi` for every set of `lattices.sets`.

    Args:
        settings: settings of the command.

    Returns:
        The content of lattices.json of each set.

    Raises:
        InputError: files are missing or damaged, or too many utterances have no lattice.
    """
    source = settings.lattices.from_kaldi
    assert source is not None
    model = _model(settings, source)
    for folder in (source, model.parent):
        refuse_subsampled(folder)
    transitions = read_transition_model(model)
    labels = LabelMap(
        transitions.pdf_of, transitions.phone_of, _silence(settings, source, transitions)
    )
    phones = _phones(settings, transitions) if shares_pdfs(transitions) else None
    sets = {}
    for name in settings.lattices.sets:
        store = FrameStore.open(store_folder(settings, name))
        if store.num_pdfs != transitions.num_pdfs:
            raise InputError(
                f"{model}: a model of {transitions.num_pdfs} pdfs",
                expected=f"{store.num_pdfs}, as in {store.folder}",
                remedy="use lattices and alignments of the same model",
            )
        skips = SkipList(
            f"lattices of {name}", settings.lattices.max_skipped, "lattices.max_skipped"
        )
        about = {"from_kaldi": str(source), "drawn": store.num_units, "skipped": skips.reasons}
        folder = lattices_folder(settings, name)
        lattices = _lattices(source, set(store.utterances), transitions, skips)
        if phones is not None:
            lattices = _with_phones(lattices, phones, skips)
        sets[name] = write_lattices(folder, lattices, labels, about, phones)
        log.info("%s: %d lattices", folder, sets[name]["utterances"])
    return sets


def shares_pdfs(transitions: KaldiTransitionModel) -> bool:
    """Return whether phones share pdfs, as in most of Kaldi's trees.

    Labels then do not tell the phone.
    """
    pairs = np.stack([transitions.pdf_of[1:], transitions.phone_of[1:]])
    return len(np.unique(pairs, axis=1)[0]) > len(np.unique(pairs[0]))


def _phones(settings: Settings, transitions: KaldiTransitionModel) -> dict[str, NDArray[np.int32]]:
    """Read the phone of every frame of every utterance from the alignments that are trained on.

    Args:
        settings: settings of the command.
        transitions: transition model of the lattices.

    Returns:
        The phones [frames] of each utterance.

    Raises:
        InputError: no alignments of Kaldi's are named, or another model made them.
    """
    if settings.alignment.from_kaldi is None:
        raise InputError(
            "alignment.from_kaldi=null: phones of the lattices' model share pdfs",
            expected="the alignments that training uses, which tell the phones",
            remedy="give this command the overrides of training, alignment.from_kaldi among them",
        )
    folders = alignment_folders(settings)
    transition_ids, aligned_with = read_transitions(folders)
    if not np.array_equal(aligned_with.phone_of, transitions.phone_of):
        raise InputError(
            f"{folders[0] / 'final.mdl'}: its transition ids stand for other phones",
            expected=f"the model of {settings.lattices.from_kaldi}",
            remedy="make lattices and alignments with the same model",
        )
    return {name: transitions.phone_of[ids] for name, ids in transition_ids.items()}


def _with_phones(
    lattices: Iterator[Lattice], phones: Mapping[str, NDArray[np.int32]], skips: SkipList
) -> Iterator[Lattice]:
    """Yield the lattices whose utterances have as many phones as frames."""
    for lattice in lattices:
        num_frames = len(phones.get(lattice.utterance, ()))
        if num_frames == lattice.num_frames:
            yield lattice
        else:
            reason = f"its alignment has {num_frames} frames, its lattice {lattice.num_frames}"
            skips.add(lattice.utterance, reason)


def _lattices(
    source: Path, utterances: set[str], transitions: KaldiTransitionModel, skips: SkipList
) -> Iterator[Lattice]:
    """Yield the lattices of `utterances`; skip the utterances that have none.

    Raises:
        InputError: a file is damaged, an utterance has two lattices, or too many have none.
    """
    total, missing = len(utterances), set(utterances)
    for file in progress(numbered_files(source, "lat"), desc=skips.stage, unit="file"):
        for utterance, raw in read_lattices(file):
            if utterance not in utterances:
                continue
            if utterance not in missing:
                raise InputError(
                    f"{file}: lattice of {utterance}: for the second time",
                    remedy="remove files that other runs left in the folder",
                )
            missing.discard(utterance)
            try:
                lattice = checked_lattice(raw, utterance, transitions.num_transition_ids)
            except InputError as error:
                skips.add(utterance, f"{file}: {error.problem}")
            else:
                yield lattice
    for utterance in sorted(missing):
        skips.add(utterance, f"no lattice in {source}")
    skips.check(total)


def _model(settings: Settings, source: Path) -> Path:
    """Find the model that a folder of lattices was made with.

    Decoding folders have it in the folder above. Kaldi's make_denlats.sh leaves no model: it uses
    the one that the alignments were made with.

    Args:
        settings: settings of the command.
        source: folder of the lattices.

    Returns:
        The model file.

    Raises:
        InputError: there is no model.
    """
    for folder in (source, source.parent):
        if (folder / "final.mdl").is_file():
            return folder / "final.mdl"
    if settings.alignment.from_kaldi is not None:
        aligned = alignment_folders(settings)[0] / "final.mdl"
        log.info("%s: no final.mdl, so %s is taken", source, aligned)
        return aligned
    raise InputError(
        f"{source}: no final.mdl in it or above it",
        expected="the model that the lattices were made with",
        remedy="copy it there, or name the alignments of the same model: alignment.from_kaldi",
    )


def _silence(settings: Settings, source: Path, transitions: KaldiTransitionModel) -> list[int]:
    """Return the ids of `lattices.silence_phones`, which may be names in phones.txt too.

    Raises:
        InputError: the setting is missing, or names a phone that the model lacks.
    """
    silence_phones = settings.lattices.silence_phones
    if silence_phones is None:
        raise InputError(
            "lattices.silence_phones=null: which phones are silence and noise is not known",
            expected="names in phones.txt, or ids as in Kaldi's data/lang/phones/silence.csl",
            remedy="lattices.silence_phones=[SIL,SPN], or [1,2,3], for example",
        )
    known = set(transitions.topology.phones)
    ids = [
        number
        for phone in silence_phones
        for number in ([phone] if isinstance(phone, int) else _named(settings, source, phone))
    ]
    if unknown := [number for number in ids if number not in known]:
        raise InputError(
            f"lattices.silence_phones: {unknown[0]} is no phone of the model",
            expected=f"ids from 1 to {max(known)}",
        )
    return ids


def _named(settings: Settings, source: Path, name: str) -> list[int]:
    """Return the ids of a phone: one for each position in words, where phones depend on that.

    Raises:
        InputError: phones.txt has no such phone.
    """
    folders = [source, source.parent]
    if settings.alignment.from_kaldi is not None:
        folders += alignment_folders(settings)
    paths = [folder / "phones.txt" for folder in folders]
    path = next((path for path in paths if path.is_file()), paths[0])
    names = {name, *(f"{name}_{position}" for position in "BEIS")}
    ids = [number for number, symbol in enumerate(read_symbols(path)) if symbol in names]
    if not ids:
        raise InputError(
            f"lattices.silence_phones: no phone {name!r} in {path}",
            expected="a name that stands there, or an id",
        )
    return ids
