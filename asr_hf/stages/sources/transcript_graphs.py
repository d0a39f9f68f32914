"""Lattice-free MMI without an alignment: stores without labels, and the graphs of transcripts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.store import FrameStore
from asr_hf.data.transcript_graph import TranscriptGraph
from asr_hf.data.transcript_store import write_transcripts
from asr_hf.hmm.alignment.corpus import transcripts_of
from asr_hf.hmm.alignment.spoken_path import Transcript
from asr_hf.hmm.chain.flat_system import TranscriptPhones
from asr_hf.hmm.chain.phone_lm import PhoneLm, phone_lm
from asr_hf.hmm.chain.spoken_phones import expected_counts
from asr_hf.hmm.chain.transcripts import TranscriptNumerators
from asr_hf.runtime import artefact
from asr_hf.runtime.skips import SkipList
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.chain_graphs import REMEDY, ChainGraphs
from asr_hf.stages.sources.flat import flat_options
from asr_hf.stages.sources.hmms import CorpusHmms, transcripts_source
from asr_hf.stages.sources.layout import store_folder
from asr_hf.stages.sources.packing import pack
from asr_hf.stages.sources.perturbed import TrainedOn


class TranscriptSets(ChainGraphs):
    """Packs sets whose frames have no labels, and makes the graphs of what was said.

    Args:
        settings: settings of the command, with `alignment.flat` and `alignment.chain`.
        hmms: HMMs of the corpus.
        data: data directory of each set.
        transcripts: transcripts of each set, by utterance.
    """

    def __init__(
        self,
        settings: Settings,
        hmms: CorpusHmms,
        data: Mapping[str, DataDir],
        transcripts: Mapping[str, Mapping[str, Transcript]],
    ) -> None:
        super().__init__(settings, hmms, data)
        self._transcripts, self._options = transcripts, flat_options(settings)
        self._phones = TranscriptPhones(hmms.system, self._options)

    def make(self) -> dict[str, Any]:
        """Pack all sets; make the denominator, and the numerators of training and held-out data.

        Returns:
            For each set its numbers of utterances and frames, and the skipped utterances.

        Raises:
            InputError: features are missing, or too many utterances are left out.
        """
        corpus = self._settings.corpus
        sets = {name: self._packed(name) for name in self._data}
        pauses = {
            "alignment.flat.pause_between": self._options.pause_between,
            "alignment.flat.pause_at_ends": self._options.pause_at_ends,
        }
        said = {"transcripts": transcripts_source(self._data[corpus.train_set])}
        self._make_denominator(pauses, said)
        for name in (corpus.train_set, corpus.heldout_set):
            sets[name]["skipped"] |= self._numerators(name)
        return sets

    def _packed(self, name: str) -> dict[str, Any]:
        """Pack the store of a set, unless it is current; return its figures."""
        trained_on = TrainedOn.of(self._settings, name, self._data[name])
        sources = {"features": trained_on.source, "system": self._source}
        num_pdfs = self._system.transitions.num_pdfs
        packed = pack(
            *(self._settings, name, trained_on.data, trained_on.folder, None, sources),
            num_pdfs=num_pdfs,
        )
        return {key: packed[key] for key in ("utterances", "frames", "skipped")}

    def _phone_lm(self, order: int, more_states: int) -> PhoneLm:
        spoken = self._phones.known(self._transcripts[self._settings.corpus.train_set])
        return phone_lm(expected_counts(spoken, order), order, more_states)

    def _numerators(self, name: str) -> dict[str, str]:
        """Make the numerators of a set, unless they are current; return what was skipped."""
        data = TrainedOn.of(self._settings, name, self._data[name]).data
        store = FrameStore.open(store_folder(self._settings, name))

        def write(part: Path, skips: SkipList, about: dict[str, Any]) -> dict[str, Any]:
            graphs = self._graphs(data, store, skips)
            return write_transcripts(part, graphs, self._system.transitions.num_pdfs, about)

        sources = {
            "transcripts": transcripts_source(data),
            "store": artefact.read(store.folder, REMEDY).source,
        }
        made = self._make_numerators(name, {}, sources, store.num_units, write)
        return dict(made.about["skipped"])

    def _graphs(
        self, data: DataDir, store: FrameStore, skips: SkipList
    ) -> Iterator[TranscriptGraph]:
        maker = TranscriptNumerators(self._states, self._initial[0], self._system.subsampling)
        transcripts = transcripts_of(data, list(self._settings.corpus.languages))

        def make(utterance: str, frames: int) -> TranscriptGraph:
            spoken = self._phones.of(utterance, transcripts[utterance])
            return maker.make(utterance, spoken, frames)

        lengths = zip(store.utterances, np.diff(store.offsets).tolist(), strict=True)
        return self._each(lengths, store.num_units, make, skips)
