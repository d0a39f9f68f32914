"""Makes the graphs of lattice-free MMI: the denominator, and the numerators of sets."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from asr_hf.data.ark import ArkReader
from asr_hf.data.augment.carry import FrameGrid
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.lattice import Lattice
from asr_hf.data.lattice_store import of_phase
from asr_hf.data.lattice_writer import write_lattices
from asr_hf.hmm.chain.numerators import NumeratorMaker, Span
from asr_hf.hmm.chain.phone_lm import PhoneLm, train_phone_lm
from asr_hf.hmm.lattice.lattices import label_map
from asr_hf.runtime import artefact
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.skips import SkipList
from asr_hf.scoring.ctm import read_ctm
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.chain_graphs import REMEDY, ChainGraphs
from asr_hf.stages.sources.hmms import CorpusHmms
from asr_hf.stages.sources.layout import alignment_folder
from asr_hf.stages.sources.perturbed import TrainedOn, frame_grid


class PhoneGraphs(ChainGraphs):
    """Makes the graphs from the phones that the sets were aligned with.

    Args:
        settings: settings of the command, with `alignment.chain`.
        hmms: HMMs of the corpus.
        data: data directory of each set.
    """

    def __init__(self, settings: Settings, hmms: CorpusHmms, data: Mapping[str, DataDir]) -> None:
        super().__init__(settings, hmms, data)
        self._read: dict[str, dict[str, list[Span]]] = {}

    def make(self) -> dict[str, Any]:
        """Make the denominator and the numerators of training and held-out data.

        Returns:
            The numbers of states and arcs of the denominator, and of the utterances of each set.

        Raises:
            InputError: too many utterances have no numerator.
        """
        corpus = self._settings.corpus
        aligned = artefact.read(self._aligned(corpus.train_set), REMEDY).source
        about = self._make_denominator({}, {"alignments": aligned}).about
        sets = {name: self._set(name) for name in (corpus.train_set, corpus.heldout_set)}
        return {**about, "sets": sets}

    def _phone_lm(self, order: int, more_states: int) -> PhoneLm:
        spoken = self._spans(self._settings.corpus.train_set)
        sentences = ([phone for phone, *_ in spans] for spans in spoken.values())
        return train_phone_lm(sentences, order, more_states)

    def _set(self, name: str) -> dict[str, Any]:
        """Make the numerators of a set, unless they are current; return their record."""
        trained_on = TrainedOn.of(self._settings, name, self._data[name])
        recorded = self._spans(name)
        spoken = recorded | _of_copies(recorded, trained_on, frame_grid(self._settings))

        phases = self._phases(name)

        def write(part: Path, skips: SkipList, about: dict[str, Any]) -> None:
            maker = self._maker(name)

            def make(utterance: str, spans: list[Span]) -> list[Lattice]:
                frames = spans[-1][1] + spans[-1][2]
                return [
                    piece
                    for phase in range(min(frames, phases))
                    for piece in maker.make(of_phase(utterance, phase), spans, phase)
                ]

            graphs = chain.from_iterable(self._each(spoken.items(), len(spoken), make, skips))
            about |= {"pieces": True, "phases": phases}
            write_lattices(part, graphs, label_map(self._system), about)

        settings = {
            "alignment.chain.tolerance": self._chain.tolerance,
            "alignment.chain.piece": self._piece(name),
        }
        aligned = artefact.read(self._aligned(name), REMEDY).source
        sources = {"alignments": aligned, "features": trained_on.source}
        return self._make_numerators(name, settings, sources, len(spoken), write).about

    def _maker(self, name: str) -> NumeratorMaker:
        system, shift, piece = self._system, self._settings.features.frame_shift, self._piece(name)
        return NumeratorMaker(
            self._states,
            self._initial,
            system.transitions,
            system.subsampling,
            round(self._chain.tolerance / shift),
            None if piece is None else max(1, round(piece / shift / system.subsampling)),
        )

    def _phases(self, name: str) -> int:
        """Return how many first frames a set has numerators for: held-out utterances have one."""
        return self._system.subsampling if name == self._settings.corpus.train_set else 1

    def _piece(self, name: str) -> float | None:
        """Return the length of pieces (ms); held-out utterances stay whole."""
        piece = self._chain.piece
        if piece is not None and piece <= 0:
            raise InputError(
                f"alignment.chain.piece={piece:g}",
                expected="a length in ms, or null for whole utterances",
            )
        return piece if name == self._settings.corpus.train_set else None

    def _aligned(self, name: str) -> Path:
        return alignment_folder(self._settings, name)

    def _spans(self, name: str) -> dict[str, list[Span]]:
        """Return the phones of each aligned utterance of a set, in its order."""
        if name in self._read:
            return self._read[name]
        shift, phones = self._settings.features.frame_shift / 1000, self._system.phones
        spoken = self._read[name] = {}
        for segment in read_ctm(self._aligned(name) / "phones.ctm"):
            span = phones.id(segment.word), round(segment.start / shift)
            frames = round(segment.duration / shift)
            spoken.setdefault(segment.recording, []).append((*span, frames))
        return spoken


def _of_copies(
    spoken: Mapping[str, list[Span]], trained_on: TrainedOn, grid: FrameGrid
) -> dict[str, list[Span]]:
    """Return the phones of altered copies, at the times that their speeds give."""
    features, found = ArkReader(trained_on.folder / "feats.scp"), {}
    for copy in trained_on.data.utterances:
        alteration = copy.alteration if copy.is_copy else None
        if alteration is None or alteration.of not in spoken or copy.id not in features:
            continue
        spans = spoken[alteration.of]
        numbers = np.repeat(np.arange(len(spans)), [frames for _, _, frames in spans])
        try:
            carried = grid.carry(numbers, len(features[copy.id]), alteration.speed)
        except InputError:
            continue  # packing counts it among the skipped
        ends = np.searchsorted(carried, np.arange(len(spans)), side="right").tolist()
        found[copy.id] = [
            (phone, start, end - start)
            for (phone, _, _), start, end in zip(spans, [0, *ends], ends, strict=False)
        ]
    return found
