"""Lattices that Kaldi made, packed for sequence training."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from asr_hf.data.lattice import Lattice
from asr_hf.data.lattice_store import LabelMap, write_lattices
from asr_hf.data.store import FrameStore
from asr_hf.kaldi.alignments import numbered_files
from asr_hf.kaldi.lattices import checked_lattice, read_lattices
from asr_hf.kaldi.transition_model import KaldiTransitionModel, read_transition_model
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.progress import progress
from asr_hf.runtime.skips import SkipList
from asr_hf.stages.layout import lattices_folder, store_folder

log = logging.getLogger(__name__)


def import_lattices(config: DictConfig) -> dict[str, Any]:
    """Pack the lattices of `lattices.from_kaldi` for every set of `lattices.sets`.

    Returns:
        What lattices.json says, of each set.

    Raises:
        InputError: files are missing or damaged, or too many utterances have no lattice.
    """
    source = Path(config.lattices.from_kaldi)
    transitions = read_transition_model(_model(source))
    labels = LabelMap(transitions.pdf_of, transitions.phone_of, _silence(config, transitions))
    found = {}
    for name in config.lattices.sets:
        store = FrameStore.open(store_folder(config, name))
        if store.num_pdfs != transitions.num_pdfs:
            raise InputError(
                f"{_model(source)}: a model of {transitions.num_pdfs} pdfs",
                expected=f"{store.num_pdfs}, as in {store.folder}",
                remedy="use lattices and alignments of the same model",
            )
        skips = SkipList(f"lattices of {name}", config.lattices.max_skipped)
        about = {"from_kaldi": str(source), "drawn": store.num_units, "skipped": skips.reasons}
        folder = lattices_folder(config, name)
        lattices = _lattices(source, set(store.utterances), transitions, skips)
        found[name] = write_lattices(folder, lattices, labels, about)
        log.info("%s: %d lattices", folder, found[name]["utterances"])
    return found


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


def _model(source: Path) -> Path:
    """The model of a folder of lattices; decoding folders have it one above."""
    inside, above = source / "final.mdl", source.parent / "final.mdl"
    return above if above.is_file() and not inside.is_file() else inside


def _silence(config: DictConfig, transitions: KaldiTransitionModel) -> list[int]:
    phones = config.lattices.silence_phones
    if phones is None:
        raise InputError(
            "lattices.silence_phones=null: which phones are silence and noise is not known",
            expected="phone ids, as in Kaldi's data/lang/phones/silence.csl",
            remedy="lattices.silence_phones=[1,2,3], for example",
        )
    known = set(transitions.topology.phones)
    if strange := [phone for phone in phones if phone not in known]:
        raise InputError(
            f"lattices.silence_phones: {strange[0]} is no phone of the model",
            expected=f"ids from 1 to {max(known)}",
        )
    return [int(phone) for phone in phones]
