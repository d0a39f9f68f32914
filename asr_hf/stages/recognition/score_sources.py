"""Where decoding takes the scores of a set from: a network of a run, or what a caller has."""

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
    """Scores of a network: what made them is known, and which utterances have none."""

    path: Path
    about: dict[str, Any]
    source: Source

    def frames_source(self, name: str) -> Source:
        """What identifies the frames of a set."""
        ...

    def lacking(self, name: str, utterances: list[str]) -> dict[str, str]:
        """Those of the utterances that there are no frames of, and why."""
        ...


def network_scores(settings: Settings, run_dir: Path) -> ScoreSource:
    """Open the network of `run_dir` for scores of a corpus's sets.

    Returns:
        What computes them.

    Raises:
        InputError: there is no trained model.
    """
    return model_scores(settings, run_dir / MODEL_FILE)


def model_scores(settings: Settings, path: Path) -> ScoreSource:
    """Open the network in the file `path` for scores of a corpus's sets.

    Returns:
        What computes them.

    Raises:
        InputError: there is no trained model.
    """
    # Aligning with GMMs and decoding given scores need none of its libraries.
    from asr_hf.stages.recognition.network_scores import NetworkScores

    return NetworkScores(settings, path)
