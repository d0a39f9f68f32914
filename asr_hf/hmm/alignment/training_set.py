"""The utterances that a GMM-HMM is trained on, each with a worker that aligns it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm.alignment.spoken_path import Transcript, TranscriptGraphs
from asr_hf.hmm.gmm.gmm import Gmm
from asr_hf.hmm.graph.fst import Fst
from asr_hf.hmm.scores import AlignmentError
from asr_hf.hmm.search.search import align
from asr_hf.hmm.system import HMM_KINDS, HmmSystem
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.skips import SkipList
from asr_hf.runtime.worker_pool import WorkerPool, worker_pool
from asr_hf.runtime.workers import Task

ACOUSTIC_SCALE = 0.1
BEAM = 10.0
RETRY_FACTOR = 4.0
# Starting a process takes as long as training on this many frames (three minutes).
_WORTH_A_PROCESS = 20_000


@dataclass(frozen=True)
class _Utterance:
    """An utterance as it is sent to a worker; its features are [frames, dim]."""

    name: str
    features: NDArray[np.float32]
    transcript: Transcript


@dataclass(frozen=True)
class _Model:
    """The parts of the system that change between alignments."""

    log_probs: NDArray[np.float32]
    gmm: Gmm
    beam: float


class _Aligner:
    """Aligns a share of the utterances again and again, on one worker."""

    def __init__(self, system: HmmSystem) -> None:
        self._transitions, self._graphs = system.transitions, TranscriptGraphs(system)
        self._share: list[tuple[_Utterance, Fst, NDArray[np.int32]]] = []

    def take(self, share: Sequence[_Utterance]) -> dict[str, str]:
        """Make the graphs of a share of the utterances.

        Returns:
            The reason for each utterance that cannot have a graph.
        """
        failed = {}
        for utterance in share:
            try:
                graph = self._graphs.graph(utterance.name, utterance.transcript)
            except AlignmentError as error:
                failed[utterance.name] = error.problem
                continue
            # No other pdf is scored.
            self._share.append((utterance, graph, self._transitions.pdfs_in(graph)))
        return failed

    def align(self, model: _Model) -> list[NDArray[np.int32] | str]:
        """Align the share: transition ids [frames] of each utterance, or the reason why not."""
        self._transitions.set_log_probs(model.log_probs)
        scorer, beams = model.gmm.scorer(), (model.beam, RETRY_FACTOR * model.beam)
        results: list[NDArray[np.int32] | str] = []
        for utterance, graph, pdfs in self._share:
            scores = scorer.log_likelihoods(utterance.features, pdfs)
            try:
                path = align(
                    self._transitions,
                    graph,
                    scores,
                    utterance.name,
                    acoustic_scale=ACOUSTIC_SCALE,
                    beams=beams,
                )
            except AlignmentError as error:
                results.append(error.problem)
            else:
                results.append(path.transition_ids)
        return results


TRAINING = Task(
    "training",
    _Aligner,
    (_Aligner.take, _Aligner.align),
    (*HMM_KINDS, _Utterance, Transcript, _Model),
)


class TrainingSet:
    """The utterances to train on; `open_training_set` makes it.

    Attributes:
        system: the system that is trained.
        names: names of the utterances.
        features: features of all utterances, one after another [frames, dim].
        bounds: first frames; utterance i has the frames bounds[i] to bounds[i+1] - 1.
    """

    def __init__(
        self,
        system: HmmSystem,
        features: Mapping[str, NDArray[np.float32]],
        transcripts: Mapping[str, Transcript],
        workers: WorkerPool[_Aligner],
    ) -> None:
        self.system, self._transcripts, self._workers = system, transcripts, workers
        self.names = list(features)
        self.features = np.concatenate(list(features.values()))
        lengths = [len(matrix) for matrix in features.values()]
        self.bounds = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)

    def first_phones(self) -> list[list[int]]:
        """List each utterance's phone ids: first pronunciations, with silence at both ends."""
        graphs = TranscriptGraphs(self.system)
        return [graphs.first_phones(name, self._transcripts[name]) for name in self.names]

    def align(self, gmm: Gmm, beam: float = BEAM) -> dict[str, NDArray[np.int32] | str]:
        """Align every utterance under the mixtures.

        The result does not depend on the number of workers.

        Returns:
            Transition ids [frames] by utterance, or the reason why there are none.
        """
        model = _Model(self.system.transitions.log_probs, gmm, beam)
        results = self._workers.each(_Aligner.align, [model] * self._workers.size)
        return dict(
            zip(
                self.names,
                (result for share_results in results for result in share_results),
                strict=True,
            )
        )

    def paths(self, gmm: Gmm, skips: SkipList) -> dict[str, NDArray[np.int32]]:
        """Align every utterance under the mixtures; those that cannot be are skipped.

        Args:
            gmm: the mixtures.
            skips: receives the utterances that are left out.

        Returns:
            Transition ids [frames] by utterance.
        """
        found = {}
        for name, path in self.align(gmm).items():
            if isinstance(path, str):
                skips.add(name, path)
            else:
                found[name] = path
        return found


@contextmanager
def open_training_set(
    system: HmmSystem,
    features: Mapping[str, NDArray[np.float32]],
    transcripts: Mapping[str, Transcript],
    skips: SkipList,
    jobs: int = 1,
) -> Iterator[TrainingSet]:
    """Deal utterances to workers.

    Args:
        system: the system that is trained.
        features: features [frames, dim] by utterance.
        transcripts: the transcript of each utterance.
        skips: receives the utterances whose transcripts cannot be aligned.
        jobs: maximum number of processes; little data take fewer.

    Yields:
        The utterances that can be trained on.

    Raises:
        InputError: there is nothing to train on.
    """
    num_frames = sum(map(len, features.values()))
    jobs = min(jobs, 1 + num_frames // _WORTH_A_PROCESS, max(1, len(features)))
    with worker_pool(TRAINING, system, jobs, "alignment for training") as workers:
        utterances = [_Utterance(name, x, transcripts[name]) for name, x in features.items()]
        failed: dict[str, str] = {}
        for share_failed in workers.each(_Aligner.take, _shares(utterances, workers.size)):
            failed |= share_failed
        for name, reason in failed.items():
            skips.add(name, reason)
        usable = {name: x for name, x in features.items() if name not in failed}
        if not usable:
            raise InputError(
                "no utterance can be trained on",
                expected="features, and a transcript with words of the lexicon, of each",
                remedy="check text, lexicon and features",
            )
        yield TrainingSet(system, usable, transcripts, workers)


def _shares(utterances: Sequence[_Utterance], count: int) -> list[list[_Utterance]]:
    """Split utterances into `count` lists of neighbours with about as many frames each."""
    ends = np.cumsum([len(u.features) for u in utterances], dtype=np.int64)
    shares: list[list[_Utterance]] = [[] for _ in range(count)]
    for utterance, end in zip(utterances, ends, strict=True):
        middle = int(end) - len(utterance.features) / 2
        shares[int(middle * count / int(ends[-1]))].append(utterance)
    return shares
