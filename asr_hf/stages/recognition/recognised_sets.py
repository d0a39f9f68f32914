"""Recognises all utterances of a set, with progress by its frames."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asr_hf.hmm.alignment.spoken_path import Transcript
from asr_hf.hmm.search.decode import DecodingJob, decode_all
from asr_hf.hmm.search.rescore import SearchWeights
from asr_hf.hmm.search.search import BestPath
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.progress import progress
from asr_hf.settings.settings import Settings
from asr_hf.stages.recognition.recognisers import Recogniser
from asr_hf.stages.recognition.score_sources import Identified, ScoreSource
from asr_hf.stages.recognition.search_bounds import SearchBounds


@dataclass(frozen=True)
class RecognisedUtterance:
    """What was recognised in one utterance.

    Attributes:
        utterance: name of the utterance.
        language: language of the utterance.
        paths: the best path under each of the weights.
        complete: whether a path reached the end; otherwise the last words may be missing.
    """

    utterance: str
    language: str
    paths: list[BestPath]
    complete: bool


@dataclass
class SetRecogniser:
    """Recognises whole sets with the same graphs and scores.

    Args:
        settings: settings of the command.
        graphs: decoding graphs, and the meaning of their labels.
        scores: log likelihoods [frames, pdfs] of the utterances of a set.

    Attributes:
        bounds: where the limits of the search took hold in the set that was recognised last.
    """

    settings: Settings
    graphs: Recogniser
    scores: ScoreSource

    def __post_init__(self) -> None:
        self.bounds = self._no_bounds()

    def recognise(
        self, name: str, transcripts: Mapping[str, Transcript], weights: Sequence[SearchWeights]
    ) -> Iterator[RecognisedUtterance]:
        """Recognise a set under each of the weights.

        Args:
            name: name of the set.
            transcripts: transcripts of its utterances, which tell their languages.
            weights: decoding weights.

        Yields:
            What was recognised in each utterance that has scores.

        Raises:
            InputError: there are scores of an utterance that is not in the set.
        """
        order: list[str] = []

        def jobs() -> Iterator[DecodingJob]:
            for utterance, log_likelihoods in self.scores(name):
                if utterance not in transcripts:
                    raise InputError(
                        f"{utterance}: scores, but no such utterance in {name}",
                        remedy="run asr-hf align again after changing the data",
                    )
                order.append(utterance)
                yield DecodingJob(utterance, transcripts[utterance].language, log_likelihoods)

        total = self.scores.num_frames(name) if isinstance(self.scores, Identified) else None
        self.bounds, stage = self._no_bounds(), f"decoding {name}"
        found = decode_all(self.graphs.source, jobs(), weights, self.settings.decode.jobs)
        bar: Any = progress(desc=stage, total=total, unit="frames")
        with bar:
            for number, one in enumerate(found):
                utterance = order[number]
                self.bounds.add(utterance, one.frames, one.limited_frames, one.narrowed)
                bar.update(one.frames)
                language = transcripts[utterance].language
                yield RecognisedUtterance(utterance, language, one.paths, one.complete)
        self.bounds.log(stage)

    def _no_bounds(self) -> SearchBounds:
        options = self.settings.decode
        return SearchBounds("decode", options.max_active, options.max_arcs_per_frame)
