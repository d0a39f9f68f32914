"""Decoding score matrices into words, and choosing the decoding weights on a development set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_hf.data.lattice import Lattice
from asr_hf.hmm.graph import fst as fsts
from asr_hf.hmm.graph.fst_file import Labels
from asr_hf.hmm.scores import PdfColumns, ScoreColumns, Scores
from asr_hf.hmm.search.batches import batches
from asr_hf.hmm.search.lattice_decoder import Found, LatticeDecoder
from asr_hf.hmm.search.limits import SearchLimits
from asr_hf.hmm.search.rescore import SearchWeights, best_paths
from asr_hf.hmm.search.search import BestPath
from asr_hf.hmm.search.search_graph import SearchGraph
from asr_hf.runtime.errors import RunError
from asr_hf.runtime.worker_pool import worker_pool
from asr_hf.runtime.workers import Task


@dataclass(frozen=True)
class SearchOptions(SearchLimits):
    """How a search is done whose paths are scored anew under other weights.

    Attributes:
        acoustic_scale: weight of the acoustic scores in the search; other weights are tried on the
            paths it keeps.
    """

    acoustic_scale: float


@dataclass(frozen=True)
class DecodingJob:
    """One utterance to decode: its name, language, and scores [frames, pdfs]."""

    utterance: str
    language: str
    log_likelihoods: Scores


@dataclass(frozen=True)
class Decoded:
    """What was recognised in one utterance.

    Attributes:
        paths: the best path under each of the weights, in their order.
        frames: number of frames.
        complete: whether the paths reach the end of the graph; otherwise they are partial.
        limited_frames: number of frames that had more than `max_active` states.
        narrowed: whether the lattice had more than `max_arcs_per_frame` arcs a frame.
    """

    paths: list[BestPath]
    frames: int
    complete: bool
    limited_frames: int
    narrowed: bool


class Decoder:
    """Finds the best words for score matrices, under many weights at once.

    One search keeps every path near the best in a lattice, which is then rescored under all
    weights. Where no path reaches the end of the utterance, the lattice holds those that reach its
    last frame, and the best of them is the best partial path.

    Args:
        transitions: tells the pdfs of the graph's transition ids.
        graph: a decoding graph.
        options: width of the search.
    """

    def __init__(
        self, transitions: ScoreColumns, graph: SearchGraph, options: SearchOptions
    ) -> None:
        self._scale = options.acoustic_scale
        self._lattices = LatticeDecoder(transitions, graph, options)

    def decode(
        self, batch: Sequence[tuple[str, Scores]], weights: Sequence[SearchWeights]
    ) -> list[Decoded]:
        """Find the best path of utterances under each of the weights.

        Args:
            batch: name and scores [frames, pdfs] of each utterance.
            weights: the weights.

        Returns:
            What was recognised in each utterance.

        Raises:
            AlignmentError: scores are of the wrong shape or not finite.
            RunError: the search lost every path of an utterance.
        """
        decoded = []
        for (_, scores), (lattice, found) in zip(batch, self.lattices(batch), strict=True):
            paths = best_paths(lattice, weights)
            decoded.append(
                Decoded(paths, len(scores), found.complete, found.limited_frames, found.narrowed)
            )
        return decoded

    def lattices(self, batch: Sequence[tuple[str, Scores]]) -> list[tuple[Lattice, Found]]:
        """Search utterances.

        Args:
            batch: name and scores [frames, pdfs] of each utterance.

        Returns:
            The lattice of each utterance, with unscaled acoustic scores, and what else was found.

        Raises:
            AlignmentError: scores are of the wrong shape or not finite.
            RunError: the search lost every path of an utterance.
        """
        lattices = []
        for (utterance, _), one in zip(
            batch, self._lattices.decode(batch, self._scale), strict=True
        ):
            if one.lattice is None:
                raise RunError(
                    f"{utterance}: the search lost every path",
                    remedy="raise decode.beam, or look at the graph, whose states may lead nowhere",
                )
            lattices.append((one.lattice, one))
        return lattices


@dataclass(frozen=True)
class DecoderSource:
    """Plain values and file names that a worker process makes its decoders from.

    Attributes:
        columns: the pdf of each transition id of the graphs.
        graphs: file and largest word id of each language's graph.
        options: width of the search.
    """

    columns: PdfColumns
    graphs: Mapping[str, tuple[Path, int]]
    options: SearchOptions

    def decoders(self) -> dict[str, Decoder]:
        """Make one decoder a language."""
        max_input = len(self.columns.pdf_of) - 1
        return {
            language: Decoder(
                self.columns,
                SearchGraph.of(fsts.read_arrays(path, Labels(max_input, words))),
                self.options,
            )
            for language, (path, words) in self.graphs.items()
        }


def decode_all(
    source: DecoderSource,
    jobs: Iterable[DecodingJob],
    weights: Sequence[SearchWeights],
    processes: int,
) -> Iterator[Decoded]:
    """Decode utterances under all weights, in order.

    Yields:
        What was recognised in each utterance.
    """
    with worker_pool(DECODING, (source, list(weights)), processes, "decoding") as workers:
        for decoded in workers.map(_Decoders.decode, batches(jobs)):
            yield from decoded


class _Decoders:
    """Decodes utterances under all weights, on one worker."""

    def __init__(self, made_of: tuple[DecoderSource, list[SearchWeights]]) -> None:
        source, self._weights = made_of
        self._decoders = source.decoders()

    def decode(self, jobs: list[DecodingJob]) -> list[Decoded]:
        """Decode the utterances of one batch."""
        decoded: dict[str, Decoded] = {}
        for language in dict.fromkeys(job.language for job in jobs):
            batch = [(j.utterance, j.log_likelihoods) for j in jobs if j.language == language]
            found = self._decoders[language].decode(batch, self._weights)
            decoded |= dict(zip((utterance for utterance, _ in batch), found, strict=True))
        return [decoded[job.utterance] for job in jobs]


DECODING = Task(
    "decoding",
    _Decoders,
    (_Decoders.decode,),
    (DecoderSource, PdfColumns, SearchOptions, SearchWeights, DecodingJob, Decoded, BestPath),
)
