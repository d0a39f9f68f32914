"""Denominator lattices: everything the recogniser might have recognised, for each utterance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.lattice import Lattice
from asr_hf.data.lattice_writer import LabelMap
from asr_hf.hmm.alignment.spoken_path import Transcript
from asr_hf.hmm.graph import fst as fsts
from asr_hf.hmm.graph.fst import Fst
from asr_hf.hmm.graph.fst_file import Labels
from asr_hf.hmm.graph.lexicon import SILENCE_PHONES, UNKNOWN, map_unknown
from asr_hf.hmm.lattice.lattice_paths import best_path, log_paths, oracle_errors
from asr_hf.hmm.lattice.lattice_reference import add_path, reference_path
from asr_hf.hmm.scores import AlignmentError, Scores, check_scores
from asr_hf.hmm.search.batches import batches
from asr_hf.hmm.search.decode import SearchOptions
from asr_hf.hmm.search.lattice_decoder import Found, LatticeDecoder
from asr_hf.hmm.search.search_graph import SearchGraph
from asr_hf.hmm.system import HmmSystem, graph_folder
from asr_hf.runtime.worker_pool import worker_pool
from asr_hf.runtime.workers import Task


@dataclass(frozen=True)
class LatticeOptions(SearchOptions):
    """Settings of the lattices.

    Attributes:
        max_frames: maximum number of frames; longer utterances are left out.
    """

    max_frames: int


@dataclass(frozen=True)
class LatticeJob:
    """One utterance: its transcript, pdf alignment [frames], and scores [frames, pdfs]."""

    utterance: str
    transcript: Transcript
    alignment: NDArray[np.int32]
    log_likelihoods: Scores


@dataclass(frozen=True)
class LatticeFacts:
    """Figures of one lattice, as it was before the reference was merged in.

    Attributes:
        frames: number of frames of the utterance.
        arcs, states: numbers of arcs and states.
        words: number of words of the reference.
        oracle_errors: word errors of the path nearest to the reference.
        best_errors: word errors of the best path.
        log_paths: natural logarithm of the number of paths.
        merged: whether the reference was missing.
        limited_frames: number of frames whose states were limited.
        narrowed: whether the lattice beam had to be narrowed.
    """

    frames: int
    arcs: int
    states: int
    words: int
    oracle_errors: int
    best_errors: int
    log_paths: float
    merged: bool
    limited_frames: int
    narrowed: bool


@dataclass(frozen=True)
class LatticeResult:
    """The lattice of an utterance and its figures, or the reason why there is none."""

    utterance: str
    lattice: Lattice | None = None
    facts: LatticeFacts | None = None
    reason: str = ""


class LatticeMaker:
    """Makes lattices, with each language's own graph.

    Args:
        system: the HMM system.
        graphs: the folder that `HmmSystem.make_graphs` made the graphs in.
        options: settings of the lattices.
    """

    def __init__(self, system: HmmSystem, graphs: Path, options: LatticeOptions) -> None:
        self._system, self._options = system, options
        self._graphs: dict[str, Fst] = {}
        self._decoders: dict[str, LatticeDecoder] = {}
        for name, language in system.languages.items():
            max_labels = Labels(system.transitions.num_transition_ids, len(language.words) - 1)
            graph = fsts.read(graph_folder(graphs, name) / "HCLG.fst", max_labels)
            self._graphs[name] = graph
            self._decoders[name] = LatticeDecoder(
                system.transitions, SearchGraph.of(fsts.arrays(graph)), options
            )

    def make(self, jobs: list[LatticeJob]) -> list[LatticeResult]:
        """Make the lattices of a batch of utterances, in each of which the reference has a path."""
        references: dict[str, list[int]] = {}
        results: dict[str, LatticeResult] = {}
        for job in jobs:
            try:
                references[job.utterance] = self._reference(job)
            except AlignmentError as error:
                results[job.utterance] = _without(job, error)
        jobs_of: dict[str, list[LatticeJob]] = {}
        for job in jobs:
            if job.utterance in references:
                jobs_of.setdefault(job.transcript.language, []).append(job)
        for language, some in jobs_of.items():
            batch = [(job.utterance, job.log_likelihoods) for job in some]
            found = self._decoders[language].decode(batch, self._options.acoustic_scale)
            for job, one in zip(some, found, strict=True):
                try:
                    results[job.utterance] = self._result(job, one, references[job.utterance])
                except AlignmentError as error:
                    results[job.utterance] = _without(job, error)
        return [results[job.utterance] for job in jobs]

    def _result(self, job: LatticeJob, found: Found, reference: list[int]) -> LatticeResult:
        """Make the lattice of one utterance of what its search has found.

        Returns:
            The lattice and its figures.

        Raises:
            AlignmentError: no path reached the end, or the graph has none for the reference.
        """
        scale, num_frames = self._options.acoustic_scale, len(job.log_likelihoods)
        lattice = found.whole(job.utterance, num_frames)
        errors = oracle_errors(lattice, reference)
        facts = LatticeFacts(
            frames=num_frames,
            arcs=len(lattice.arcs),
            states=lattice.num_states,
            words=len(reference),
            oracle_errors=errors,
            best_errors=oracle_errors(best_path(lattice, scale), reference),
            log_paths=log_paths(lattice),
            merged=errors > 0,
            limited_frames=found.limited_frames,
            narrowed=found.narrowed,
        )
        if errors:
            path = reference_path(
                self._system.transitions,
                self._graphs[job.transcript.language],
                reference,
                job.alignment,
                job.log_likelihoods,
                scale,
                job.utterance,
            )
            lattice = add_path(lattice, path)
        return LatticeResult(job.utterance, lattice, facts)

    def _reference(self, job: LatticeJob) -> list[int]:
        """Look up the word ids of the transcript, and check that a lattice can be made.

        Returns:
            The ids, with that of `<unk>` for unknown words.

        Raises:
            AlignmentError: the utterance is too long, its scores are bad, or a word is unknown and
                the lexicon has no `<unk>`.
        """
        num_frames, max_frames = len(job.log_likelihoods), self._options.max_frames
        if num_frames > max_frames:
            raise AlignmentError(f"{num_frames} frames, more than lattices.max_frames={max_frames}")
        check_scores(job.log_likelihoods, self._system.transitions.num_pdfs, job.utterance)
        language = self._system.language(job.transcript.language, job.utterance)
        words, unknown = map_unknown(job.transcript.words, language.lexicon)
        if unknown and UNKNOWN not in language.lexicon:
            raise AlignmentError(
                f"{job.utterance}: the word {unknown[0]!r} is not in the lexicon",
                remedy=f"add it to lang/{language.name}/lexicon.txt",
            )
        return language.words.ids(words)


def _without(job: LatticeJob, error: AlignmentError) -> LatticeResult:
    reason = error.problem.removeprefix(f"{job.utterance}: ")
    return LatticeResult(job.utterance, reason=reason)


@dataclass(frozen=True)
class LatticeSource:
    """Everything that a process makes lattices from: folders of HMM system and graphs, settings."""

    system: Path
    graphs: Path
    options: LatticeOptions

    def maker(self) -> LatticeMaker:
        """Read system and graphs."""
        return LatticeMaker(HmmSystem.load(self.system), self.graphs, self.options)


LATTICES = Task(
    "lattices",
    LatticeSource.maker,
    (LatticeMaker.make,),
    (LatticeSource, LatticeOptions, LatticeJob, Transcript, LatticeResult, Lattice, LatticeFacts),
)


@contextmanager
def make_lattices(
    source: LatticeSource, jobs: Iterable[LatticeJob], processes: int
) -> Iterator[Iterator[LatticeResult]]:
    """Make the lattices of utterances, in order, whatever the number of processes.

    Yields:
        An iterator of one result an utterance.
    """
    with worker_pool(LATTICES, source, processes, "lattices") as workers:
        made = workers.map(LatticeMaker.make, batches(jobs))
        yield (result for results in made for result in results)


def label_map(system: HmmSystem) -> LabelMap:
    """List pdf and phone of each transition id, and the phones that are no speech."""
    silence = [system.phones.id(p) for p in SILENCE_PHONES if p in system.phones]
    return LabelMap(system.transitions.pdf_of, system.transitions.phone_of, silence)
