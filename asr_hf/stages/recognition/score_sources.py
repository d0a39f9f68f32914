"""Sources of the scores that decoding needs: the network of a run, or scores of the caller's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from asr_hf.hmm.scores import Scores
from asr_hf.runtime.provenance import Source
from asr_hf.settings.settings import Settings
from asr_hf.stages.recognition.select_checkpoint import MODEL_FILE

ScoreSource = Callable[[str], Iterator[tuple[str, Scores]]]


@runtime_checkable
class Identified(Protocol):
    """Scores of a known network, which also tell which utterances have no scores.

    Attributes:
        path: model file.
        about: description in the model file.
        source: source that identifies the network.
        subsampling: k, where every k-th frame has scores.
    """

    path: Path
    about: dict[str, Any]
    source: Source
    subsampling: int

    def frames_source(self, name: str) -> Source:
        """Return the source that identifies the frames of a set."""
        ...

    def num_frames(self, name: str) -> int:
        """Return the number of frames of a set that have scores."""
        ...

    def lacking(self, name: str, utterances: list[str]) -> dict[str, str]:
        """Return the utterances that have no frames, and the reason for each."""
        ...


def rate_of(scores: ScoreSource | None) -> int:
    """Return k where scores are those of every k-th frame; 1 for others."""
    return scores.subsampling if isinstance(scores, Identified) else 1


def network_scores(settings: Settings, run_dir: Path, stored: bool = True) -> ScoreSource:
    """Return the scores of a corpus's sets under the network in `run_dir`.

    Args:
        settings: settings of the command.
        run_dir: run folder of the network.
        stored: whether frame stores are read where there are some; otherwise the features are.

    Raises:
        InputError: there is no trained model.
    """
    return model_scores(settings, run_dir / MODEL_FILE, stored)


def model_scores(settings: Settings, path: Path, stored: bool = True) -> ScoreSource:
    """Return the scores of a corpus's sets under the network in the file `path`.

    Args:
        settings: settings of the command.
        path: model file.
        stored: see `network_scores`.

    Raises:
        InputError: there is no trained model.
    """
    # Aligning with GMMs and decoding given scores need none of the network's libraries.
    from asr_hf.stages.recognition.network_scores import NetworkScores

    return NetworkScores(settings, path, stored)
