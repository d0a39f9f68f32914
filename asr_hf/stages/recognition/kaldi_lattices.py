"""Lattices that Kaldi made, packed for sequence training."""

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

    Returns:
        What lattices.json says, of each set.

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
    found = {}
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
        found[name] = write_lattices(folder, lattices, labels, about, phones)
        log.info("%s: %d lattices", folder, found[name]["utterances"])
    return found


def shares_pdfs(transitions: KaldiTransitionModel) -> bool:
    """Whether phones share pdfs, as in most trees of Kaldi's; labels then tell no phone."""
    pairs = np.stack([transitions.pdf_of[1:], transitions.phone_of[1:]])
    return len(np.unique(pairs, axis=1)[0]) > len(np.unique(pairs[0]))


def _phones(settings: Settings, transitions: KaldiTransitionModel) -> dict[str, NDArray[np.int32]]:
    """Read the phones of every utterance from the alignments that are trained on.

    Returns:
        Phones [frames] by utterance.

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
    every, aligned = read_transitions(folders)
    if not np.array_equal(aligned.phone_of, transitions.phone_of):
        raise InputError(
            f"{folders[0] / 'final.mdl'}: its transition ids stand for other phones",
            expected=f"the model of {settings.lattices.from_kaldi}",
            remedy="make lattices and alignments with the same model",
        )
    return {name: transitions.phone_of[ids] for name, ids in every.items()}


def _with_phones(
    lattices: Iterator[Lattice], phones: Mapping[str, NDArray[np.int32]], skips: SkipList
) -> Iterator[Lattice]:
    """Those lattices whose utterances have as many phones as frames."""
    for lattice in lattices:
        found = len(phones.get(lattice.utterance, ()))
        if found == lattice.num_frames:
            yield lattice
        else:
            reason = f"its alignment has {found} frames, its lattice {lattice.num_frames}"
            skips.add(lattice.utterance, reason)


def _lattices(
    source: Path, wanted: set[str], transitions: KaldiTransitionModel, skips: SkipList
) -> Iterator[Lattice]:
    """Those of the utterances wanted; at the end, what is missing is counted."""
    total, missing = len(wanted), set(wanted)
    for file in progress(numbered_files(source, "lat"), desc=skips.stage, unit="file"):
        for utterance, raw in read_lattices(file):
            if utterance not in wanted:
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
    """Find the model of a folder of lattices.

    Decoding folders have it one above. Kaldi's make_denlats.sh leaves none: it uses the model
    that the alignments were made with.

    Returns:
        The file.

    Raises:
        InputError: there is none.
    """
    for place in (source, source.parent):
        if (place / "final.mdl").is_file():
            return place / "final.mdl"
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
    """The ids of `lattices.silence_phones`, which may be names of phones.txt too."""
    given = settings.lattices.silence_phones
    if given is None:
        raise InputError(
            "lattices.silence_phones=null: which phones are silence and noise is not known",
            expected="names in phones.txt, or ids as in Kaldi's data/lang/phones/silence.csl",
            remedy="lattices.silence_phones=[SIL,SPN], or [1,2,3], for example",
        )
    known = set(transitions.topology.phones)
    found = [
        n
        for one in given
        for n in ([one] if isinstance(one, int) else _named(settings, source, one))
    ]
    if strange := [phone for phone in found if phone not in known]:
        raise InputError(
            f"lattices.silence_phones: {strange[0]} is no phone of the model",
            expected=f"ids from 1 to {max(known)}",
        )
    return found


def _named(settings: Settings, source: Path, name: str) -> list[int]:
    """The phones of a name, one for each position in words where phones depend on that."""
    folders = [source, source.parent]
    if settings.alignment.from_kaldi is not None:
        folders += alignment_folders(settings)
    places = [folder / "phones.txt" for folder in folders]
    path = next((place for place in places if place.is_file()), places[0])
    names = {name, *(f"{name}_{position}" for position in "BEIS")}
    found = [number for number, symbol in enumerate(read_symbols(path)) if symbol in names]
    if not found:
        raise InputError(
            f"lattices.silence_phones: no phone {name!r} in {path}",
            expected="a name that stands there, or an id",
        )
    return found
