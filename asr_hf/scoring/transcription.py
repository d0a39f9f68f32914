"""What was said in a recording, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class SpokenWord:
    """One recognised word.

    Args:
        word: the word.
        start: where it begins (seconds).
        end: where it ends (seconds).
        confidence: probability that it was said, as the recogniser has it, in [0, 1].
    """

    word: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True)
class Transcription:
    """What was recognised in a recording.

    Args:
        name: name of the recording: its file, as it was given.
        seconds: its duration.
        language: language of the recogniser.
        words: recognised words, in their order.
        unfinished: beginnings (seconds) of the stretches whose end no path reached, so that last
            words may be missing.
    """

    name: str
    seconds: float
    language: str
    words: list[SpokenWord] = field(default_factory=list)
    unfinished: list[float] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The words, parted by spaces."""
        return " ".join(word.word for word in self.words)

    @property
    def confidence(self) -> float:
        """The mean confidence of the words; 0 where there are none."""
        return sum(word.confidence for word in self.words) / max(1, len(self.words))
