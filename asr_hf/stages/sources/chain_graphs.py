"""What makers of the graphs of lattice-free MMI share, whatever tells them what was said."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.denominator_graph import DenominatorGraph
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.hmm.chain.denominator import PhoneStates, denominator_graph
from asr_hf.hmm.chain.phone_lm import PhoneLm
from asr_hf.hmm.scores import AlignmentError
from asr_hf.runtime import artefact
from asr_hf.runtime.artefact import current_or_make
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.progress import progress
from asr_hf.runtime.provenance import Artefact, ArtefactSpec, Source
from asr_hf.runtime.skips import SkipList
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.hmms import CorpusHmms
from asr_hf.stages.sources.layout import denominator_folder, numerators_folder

log = logging.getLogger(__name__)

Said = TypeVar("Said")
Graph = TypeVar("Graph")
# Writes the numerators of a set into a folder, with what their description is to say of them, and
# notes the utterances without one.
Writer = Callable[[Path, SkipList, dict[str, Any]], object]

REMEDY = "asr-hf align with the same overrides makes it"


class ChainGraphs(ABC):
    """Makes the denominator, and the numerators of training and held-out data.

    A derived class knows what was said.

    Args:
        settings: settings of the command, with `alignment.chain`.
        hmms: HMMs of the corpus.
        data: data directory of each set.
    """

    def __init__(self, settings: Settings, hmms: CorpusHmms, data: Mapping[str, DataDir]) -> None:
        chain = settings.alignment.chain
        assert chain is not None
        self._settings, self._chain, self._data = settings, chain, data
        self._system, self._source = hmms.system, hmms.source
        self._folder = denominator_folder(settings)

    @abstractmethod
    def _phone_lm(self, order: int, more_states: int) -> PhoneLm:
        """Return the phone language model of the training data.

        Raises:
            ValueError: nothing was said, or the order is too small.
        """

    @cached_property
    def _states(self) -> PhoneStates:
        """The states of the denominator."""
        tree = self._system.transitions.tree
        assert tree is not None
        try:
            lm = self._phone_lm(self._chain.lm_order, self._chain.lm_states)
        except ValueError as error:
            raise InputError(f"alignment.chain.lm_order: {error}") from error
        return PhoneStates(lm, tree)

    @property
    def _initial(self) -> NDArray[np.float64]:
        """The probability of each of the denominator's states before the first frame [S]."""
        return DenominatorGraph.load(self._folder, REMEDY).initial

    def _make_denominator(
        self, settings: Mapping[str, Any], said: Mapping[str, Source]
    ) -> Artefact:
        """Make the denominator, unless it is current.

        Args:
            settings: settings that it depends on besides those of the phone language model.
            said: where it is known from what was said.

        Returns:
            The denominator's folder and record.
        """
        of_lm = {
            "alignment.chain.lm_order": self._chain.lm_order,
            "alignment.chain.lm_states": self._chain.lm_states,
        }
        spec = ArtefactSpec(
            "denominator graph", of_lm | dict(settings), {"system": self._source, **said}
        )
        return current_or_make(self._folder, spec, self._write_denominator, whole=True)

    def _write_denominator(self, part: Path) -> dict[str, Any]:
        graph = denominator_graph(self._states, self._system.transitions.num_pdfs)
        graph.save(part)
        log.info(
            "denominator: %d states and %d arcs over %d pdfs",
            graph.num_states,
            len(graph.arcs),
            graph.num_pdfs,
        )
        return {"states": graph.num_states, "arcs": len(graph.arcs)}

    def _make_numerators(
        self,
        name: str,
        settings: Mapping[str, Any],
        sources: Mapping[str, Source],
        total: int,
        write: Writer,
    ) -> Artefact:
        """Make the numerators of a set, unless they are current.

        Args:
            name: name of the set.
            settings: settings that they depend on.
            sources: what they are made from besides the denominator.
            total: number of utterances that might have one.
            write: see `Writer`.

        Returns:
            Their folder and record.

        Raises:
            InputError: too many utterances have no numerator.
        """
        limit, key = self._settings.alignment.max_skipped, "alignment.max_skipped"
        skips = SkipList(f"numerators of {name}", limit, key)
        denominator = artefact.read(self._folder, REMEDY).source
        spec = ArtefactSpec("numerator graphs", settings, {"denominator": denominator, **sources})

        def make(part: Path) -> dict[str, Any]:
            write(part, skips, {"drawn": total, "skipped": skips.reasons})
            skips.check(total)
            return {"utterances": total - len(skips.reasons), "skipped": skips.reasons}

        folder = numerators_folder(self._settings, name)
        return current_or_make(folder, spec, make, whole=True, skips=(skips, total))

    def _each(
        self,
        said: Iterable[tuple[str, Said]],
        total: int,
        make: Callable[[str, Said], Graph],
        skips: SkipList,
    ) -> Iterator[Graph]:
        """Yield the numerator of each utterance, given what was said there; note those without."""
        for utterance, what in progress(said, desc=skips.stage, total=total, unit="utt"):
            try:
                yield make(utterance, what)
            except AlignmentError as error:
                skips.add(utterance, error.problem)
