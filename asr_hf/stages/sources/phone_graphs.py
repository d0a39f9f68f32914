"""Makes the graphs of lattice-free MMI: the denominator, and the numerators of sets."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from asr_hf.data.ark import ArkReader
from asr_hf.data.augment.carry import FrameGrid
from asr_hf.data.denominator_graph import DenominatorGraph
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.lattice import Lattice
from asr_hf.data.lattice_writer import write_lattices
from asr_hf.hmm.chain.denominator import PhoneStates, denominator_graph
from asr_hf.hmm.chain.numerators import NumeratorMaker, Span
from asr_hf.hmm.chain.phone_lm import train_phone_lm
from asr_hf.hmm.lattice.lattices import label_map
from asr_hf.hmm.scores import AlignmentError
from asr_hf.runtime import artefact
from asr_hf.runtime.artefact import current_or_make
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.progress import progress
from asr_hf.runtime.provenance import ArtefactSpec
from asr_hf.runtime.skips import SkipList
from asr_hf.scoring.ctm import read_ctm
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.hmms import CorpusHmms
from asr_hf.stages.sources.layout import alignment_folder, denominator_folder, numerators_folder
from asr_hf.stages.sources.perturbed import TrainedOn, frame_grid

log = logging.getLogger(__name__)

_REMEDY = "asr-hf align with the same overrides makes it"


class PhoneGraphs:
    """Makes the graphs from the phones that the sets were aligned with.

    Args:
        settings: settings of the command, with `alignment.chain`.
        hmms: HMMs of the corpus.
        data: data directory of each set.
    """

    def __init__(self, settings: Settings, hmms: CorpusHmms, data: Mapping[str, DataDir]) -> None:
        chain = settings.alignment.chain
        assert chain is not None
        self._data = data
        self._settings, self._chain = settings, chain
        self._system, self._source = hmms.system, hmms.source
        self._folder = denominator_folder(settings)
        self._read: dict[str, dict[str, list[Span]]] = {}

    def make(self) -> dict[str, Any]:
        """Make the denominator and the numerators of training and held-out data.

        Returns:
            The numbers of states and arcs of the denominator, and of the utterances of each set.

        Raises:
            InputError: too many utterances have no numerator.
        """
        corpus, chain = self._settings.corpus, self._chain
        spec = ArtefactSpec(
            "denominator graph",
            {
                "alignment.chain.lm_order": chain.lm_order,
                "alignment.chain.lm_states": chain.lm_states,
            },
            {
                "system": self._source,
                "alignments": artefact.read(self._aligned(corpus.train_set), _REMEDY).source,
            },
        )
        about = current_or_make(self._folder, spec, self._denominator, whole=True).about
        sets = {name: self._set(name) for name in (corpus.train_set, corpus.heldout_set)}
        return {**about, "sets": sets}

    @cached_property
    def _states(self) -> PhoneStates:
        tree = self._system.transitions.tree
        assert tree is not None
        spoken = self._spans(self._settings.corpus.train_set)
        sentences = ([phone for phone, *_ in spans] for spans in spoken.values())
        try:
            lm = train_phone_lm(sentences, self._chain.lm_order, self._chain.lm_states)
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

    def _set(self, name: str) -> dict[str, Any]:
        """Make the numerators of a set, unless they are current; return their record."""
        limit, key = self._settings.alignment.max_skipped, "alignment.max_skipped"
        skips = SkipList(f"numerators of {name}", limit, key)
        trained_on = TrainedOn.of(self._settings, name, self._data[name])
        spec = ArtefactSpec(
            "numerator graphs",
            {"alignment.chain.tolerance": self._chain.tolerance},
            {
                "denominator": artefact.read(self._folder, _REMEDY).source,
                "alignments": artefact.read(self._aligned(name), _REMEDY).source,
                "features": trained_on.source,
            },
        )
        recorded = self._spans(name)
        spoken = recorded | _of_copies(recorded, trained_on, frame_grid(self._settings))

        def make(part: Path) -> dict[str, Any]:
            graphs = self._numerators(name, spoken, skips)
            about = {"drawn": len(spoken), "skipped": skips.reasons}
            made = write_lattices(part, graphs, label_map(self._system), about)
            skips.check(len(spoken))
            return {"utterances": made["utterances"], "skipped": skips.reasons}

        folder, total = numerators_folder(self._settings, name), len(spoken)
        return current_or_make(folder, spec, make, whole=True, skips=(skips, total)).about

    def _numerators(
        self, name: str, spoken: dict[str, list[Span]], skips: SkipList
    ) -> Iterator[Lattice]:
        system = self._system
        maker = NumeratorMaker(
            self._states,
            DenominatorGraph.load(self._folder, _REMEDY),
            system.transitions,
            system.subsampling,
            round(self._chain.tolerance / self._settings.features.frame_shift),
        )
        for utterance, spans in progress(
            spoken.items(), desc=f"numerators of {name}", total=len(spoken), unit="utt"
        ):
            try:
                yield maker.make(utterance, spans)
            except AlignmentError as error:
                skips.add(utterance, error.problem)

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
