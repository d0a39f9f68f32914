"""Puts utterances together that are searched at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, TypeVar

from asr_hf.hmm.scores import Scores

# More at once are hardly faster.
_MAX_UTTERANCES = 16
# What the search remembers grows with the frames; processes hold the scores of several batches.
_MAX_FRAMES, _MAX_BYTES = 4000, 16 * 2**20


class Scored(Protocol):
    """One utterance to search, with its scores [frames, pdfs]."""

    @property
    def log_likelihoods(self) -> Scores:
        """The scores."""
        ...


J = TypeVar("J", bound=Scored)


def batches(jobs: Iterable[J]) -> Iterator[list[J]]:
    """Put utterances together that follow one another, so that their scores take little memory.

    Yields:
        One utterance or more.
    """
    batch: list[J] = []
    frames = size = 0
    for job in jobs:
        frames += len(job.log_likelihoods)
        size += job.log_likelihoods.nbytes
        if batch and (len(batch) >= _MAX_UTTERANCES or frames > _MAX_FRAMES or size > _MAX_BYTES):
            yield batch
            batch, frames, size = [], len(job.log_likelihoods), job.log_likelihoods.nbytes
        batch.append(job)
    if batch:
        yield batch
