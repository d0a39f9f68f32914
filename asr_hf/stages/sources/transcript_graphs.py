"""Lattice-free MMI without an alignment: stores without labels, and the graphs of transcripts."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from asr_hf.data.denominator_graph import DenominatorGraph
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.store import FrameStore
from asr_hf.data.transcript_graph import TranscriptGraph
from asr_hf.data.transcript_store import write_transcripts
from asr_hf.hmm.alignment.corpus import transcripts_of
from asr_hf.hmm.alignment.spoken_path import Transcript
from asr_hf.hmm.chain.denominator import PhoneStates, denominator_graph
from asr_hf.hmm.chain.flat_system import TranscriptPhones
from asr_hf.hmm.chain.phone_lm import phone_lm
from asr_hf.hmm.chain.spoken_phones import expected_counts
from asr_hf.hmm.chain.transcripts import TranscriptNumerators
from asr_hf.hmm.scores import AlignmentError
from asr_hf.runtime import artefact
from asr_hf.runtime.artefact import current_or_make
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.progress import progress
from asr_hf.runtime.provenance import ArtefactSpec
from asr_hf.runtime.skips import SkipList
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.flat import flat_options
from asr_hf.stages.sources.hmms import CorpusHmms, transcripts_source
from asr_hf.stages.sources.layout import denominator_folder, numerators_folder, store_folder
from asr_hf.stages.sources.packing import pack
from asr_hf.stages.sources.perturbed import TrainedOn

log = logging.getLogger(__name__)

_REMEDY = "asr-hf align with the same overrides makes it"
_LIMIT = "alignment.max_skipped"


class TranscriptSets:
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
        chain = settings.alignment.chain
        assert chain is not None
        self._settings, self._chain, self._system = settings, chain, hmms.system
        self._source, self._data, self._transcripts = hmms.source, data, transcripts
        self._options = flat_options(settings)
        self._phones = TranscriptPhones(hmms.system, self._options)
        self._folder = denominator_folder(settings)

    def make(self) -> dict[str, Any]:
        """Pack all sets; make the denominator, and the numerators of training and held-out data.

        Returns:
            For each set its numbers of utterances and frames, and the skipped utterances.

        Raises:
            InputError: features are missing, or too many utterances are left out.
        """
        corpus = self._settings.corpus
        sets = {name: self._packed(name) for name in self._data}
        spec = ArtefactSpec(
            "denominator graph",
            {
                "alignment.chain.lm_order": self._chain.lm_order,
                "alignment.chain.lm_states": self._chain.lm_states,
                "alignment.flat.pause_between": self._options.pause_between,
                "alignment.flat.pause_at_ends": self._options.pause_at_ends,
            },
            {
                "system": self._source,
                "transcripts": transcripts_source(self._data[corpus.train_set]),
            },
        )
        current_or_make(self._folder, spec, self._denominator, whole=True)
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

    @cached_property
    def _states(self) -> PhoneStates:
        tree, order = self._system.transitions.tree, self._chain.lm_order
        assert tree is not None
        spoken = self._phones.known(self._transcripts[self._settings.corpus.train_set])
        try:
            lm = phone_lm(expected_counts(spoken, order), order, self._chain.lm_states)
        except ValueError as error:
            raise InputError(f"alignment.chain.lm_order: {error}") from error
        return PhoneStates(lm, tree)

    def _denominator(self, part: Path) -> dict[str, Any]:
        graph = denominator_graph(self._states, self._system.transitions.num_pdfs)
        graph.save(part)
        log.info(
            "denominator: %d states and %d arcs over %d pdfs",
            graph.num_states,
            len(graph.arcs),
            graph.num_pdfs,
        )
        return {"states": graph.num_states, "arcs": len(graph.arcs)}

    def _numerators(self, name: str) -> dict[str, str]:
        """Make the numerators of a set, unless they are current; return what was skipped."""
        trained_on = TrainedOn.of(self._settings, name, self._data[name])
        store = FrameStore.open(store_folder(self._settings, name))
        skips = SkipList(f"numerators of {name}", self._settings.alignment.max_skipped, _LIMIT)
        spec = ArtefactSpec(
            "numerator graphs",
            {},
            {
                "denominator": artefact.read(self._folder, _REMEDY).source,
                "transcripts": transcripts_source(trained_on.data),
                "store": artefact.read(store.folder, _REMEDY).source,
            },
        )

        def make(part: Path) -> dict[str, Any]:
            graphs = self._graphs(trained_on.data, store, skips)
            about = {"drawn": store.num_units, "skipped": skips.reasons}
            num_pdfs = self._system.transitions.num_pdfs
            made = write_transcripts(part, graphs, num_pdfs, about)
            skips.check(store.num_units)
            return {"utterances": made["utterances"], "skipped": skips.reasons}

        folder, checked = numerators_folder(self._settings, name), (skips, store.num_units)
        made = current_or_make(folder, spec, make, whole=True, skips=checked)
        return dict(made.about["skipped"])

    def _graphs(
        self, data: DataDir, store: FrameStore, skips: SkipList
    ) -> Iterator[TranscriptGraph]:
        denominator = DenominatorGraph.load(self._folder, _REMEDY)
        maker = TranscriptNumerators(self._states, denominator, self._system.subsampling)
        transcripts = transcripts_of(data, list(self._settings.corpus.languages))
        lengths = np.diff(store.offsets).tolist()
        for utterance, frames in progress(
            zip(store.utterances, lengths, strict=True),
            desc=skips.stage,
            total=len(lengths),
            unit="utt",
        ):
            try:
                spoken = self._phones.of(utterance, transcripts[utterance])
                yield maker.make(utterance, spoken, frames)
            except AlignmentError as error:
                skips.add(utterance, error.problem)
