"""When words and phones begin and end, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Boundary:
    """Where a phone or a word begins or ends.

    Args:
        time: median: the boundary lies before it as probably as behind it (seconds).
        low: begin of the interval that holds the boundary in nine of ten cases (seconds).
        high: end of that interval (seconds).
        confidence: probability that the boundary lies within 20 ms of `time`.
    """

    time: float
    low: float
    high: float
    confidence: float

    def later(self, seconds: float) -> Boundary:
        """Return the boundary as counted from a time so many seconds earlier."""
        return Boundary(
            self.time + seconds, self.low + seconds, self.high + seconds, self.confidence
        )


@dataclass(frozen=True)
class TimedPhone:
    """A phone between two boundaries."""

    label: str
    begin: Boundary
    end: Boundary

    @property
    def confidence(self) -> float:
        """The lower confidence of its boundaries."""
        return min(self.begin.confidence, self.end.confidence)

    def later(self, seconds: float) -> TimedPhone:
        """Return the phone as counted from a time so many seconds earlier."""
        return TimedPhone(self.label, self.begin.later(seconds), self.end.later(seconds))


@dataclass(frozen=True)
class TimedWord:
    """A word: its spelling in the transcript, and its phones in order, one or more."""

    label: str
    phones: tuple[TimedPhone, ...]

    @property
    def begin(self) -> Boundary:
        """The begin of its first phone."""
        return self.phones[0].begin

    @property
    def end(self) -> Boundary:
        """The end of its last phone."""
        return self.phones[-1].end

    @property
    def confidence(self) -> float:
        """The lower confidence of its boundaries; those inside the word do not count."""
        return min(self.begin.confidence, self.end.confidence)

    def later(self, seconds: float) -> TimedWord:
        """Return the word as counted from a time so many seconds earlier."""
        return TimedWord(self.label, tuple(phone.later(seconds) for phone in self.phones))


@dataclass(frozen=True)
class TimedUtterance:
    """The words of an utterance with their times in its recording.

    Args:
        name: name of the utterance.
        speaker: name of the speaker.
        start: begin of the utterance in the recording (seconds).
        words: its words in order, in time of the recording.
    """

    name: str
    speaker: str
    start: float
    words: tuple[TimedWord, ...]


@dataclass(frozen=True)
class TimedRecording:
    """A recording with what is said in it.

    Args:
        name: key of the recording in wav.scp.
        file: name of the recording in ctm files.
        channel: name of the channel in ctm files, from "1".
        seconds: true duration of the audio; None where nobody asked for it.
        utterances: its utterances, by their begin.
    """

    name: str
    file: str
    channel: str
    seconds: float | None
    utterances: tuple[TimedUtterance, ...]
