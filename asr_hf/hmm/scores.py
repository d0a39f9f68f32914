"""Acoustic scores of an utterance, and the errors about bad ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from asr_hf.runtime.errors import InputError

Scores = NDArray[np.floating[Any]]


class AlignmentError(InputError):
    """An utterance cannot be aligned or decoded; the caller may skip it."""


def check_scores(log_likelihoods: Scores, num_pdfs: int, utterance: str) -> None:
    """Refuse a score matrix that the decoders would misread.

    Raises:
        AlignmentError: it is not [frames >= 1, num_pdfs], or has NaN or infinite entries.
    """
    shape = log_likelihoods.shape
    if len(shape) != 2 or shape[1] != num_pdfs:
        raise AlignmentError(
            f"{utterance}: scores of shape {list(shape)}",
            expected=f"[frames, {num_pdfs}], one column a pdf of the HMMs",
            remedy="align and train again: model and alignment belong to different HMMs",
        )
    if shape[0] == 0:
        raise AlignmentError(
            f"{utterance}: no frames", expected="at least one", remedy="remove it from the set"
        )
    if not np.isfinite(log_likelihoods).all():
        frame = int(np.flatnonzero(~np.isfinite(log_likelihoods).all(axis=1))[0])
        raise AlignmentError(
            f"{utterance}: NaN or infinite score in frame {frame}",
            expected="finite log likelihoods",
            remedy="check the features and the model",
        )


class ScoreColumns(Protocol):
    """Tells which pdf scores each transition id of a graph."""

    @property
    def pdf_of(self) -> NDArray[np.int32]:
        """Pdf of each transition id [transition ids + 1], entry 0 unused."""
        ...

    @property
    def num_pdfs(self) -> int:
        """The number of pdfs."""
        ...


@dataclass(frozen=True)
class PdfColumns:
    """Everything that a decoder needs of a transition model: the pdf of each transition id."""

    pdf_of: NDArray[np.int32]
    num_pdfs: int
