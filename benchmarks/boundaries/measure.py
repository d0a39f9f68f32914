"""Compares found boundaries with the true ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.ark import ArkReader
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.hmm.alignment.boundaries import Spread, mean, quantiles, within
from asr_hf.hmm.alignment.corpus import speaker_features, transcripts_of
from asr_hf.hmm.alignment.spoken_path import AlignOptions
from asr_hf.hmm.alignment.times import FrameTimes, SpokenPhone, Timer
from asr_hf.hmm.scores import AlignmentError, Scores
from asr_hf.hmm.system import HmmSystem
from asr_hf.settings.settings import Settings
from asr_hf.stages.recognition.score_sources import network_scores
from asr_hf.stages.sources.layout import features_folder, system_folder
from benchmarks.boundaries.corpus import spoken_in
from benchmarks.boundaries.festival import Phone, Spoken

# How far a boundary may be off (seconds).
WITHIN = (0.01, 0.02, 0.05)
_NEAR = 0.02
# Times that differ by less are one.
_SAME = 1e-4
_LOW, _MIDDLE, _HIGH = 0.05, 0.5, 0.95


@dataclass
class Errors:
    """Boundaries of one voice in one condition.

    Attributes:
        errors: how much later than in truth each boundary is (seconds), by the way that its time is
            found: "path" is where a frame of the best path begins, as in the alignment's own ctm
            files; "mean" and "median" are of the probabilities.
        held: whether each 90 % interval holds the truth.
        widths: width of each interval (seconds).
        promised: confidence of each boundary.
        other_words: number of words found with other phones than were spoken, left out.
        words: number of words.
        failed: number of utterances without times.
    """

    errors: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    held: list[bool] = field(default_factory=list)
    widths: list[float] = field(default_factory=list)
    promised: list[float] = field(default_factory=list)
    other_words: int = 0
    words: int = 0
    failed: int = 0

    def figures(self) -> dict[str, Any]:
        """Return shares, bias and coverage as JSON-able values."""
        errors = {way: np.asarray(values) for way, values in self.errors.items()}
        near = np.abs(errors["median"]) <= _NEAR
        return {
            "boundaries": len(self.held),
            "within_ms": {
                way: {str(round(1000 * limit)): _share(np.abs(values) <= limit) for limit in WITHIN}
                for way, values in errors.items()
            },
            "bias_ms": {way: _ms(np.mean(values)) for way, values in errors.items()},
            "median_error_ms": {
                way: _ms(np.median(np.abs(values))) for way, values in errors.items()
            },
            "held_by_intervals": _share(np.asarray(self.held)),
            "width_of_intervals_ms": _ms(np.median(self.widths)),
            "confidence_promised": round(float(np.mean(self.promised)), 4),
            "confidence_kept": _share(near),
            "words": self.words,
            "words_with_other_phones": self.other_words,
            "utterances_failed": self.failed,
        }


def _share(found: NDArray[np.bool_]) -> float:
    return round(float(np.mean(found)), 4)


def _ms(seconds: Any) -> float:
    return round(1000 * float(seconds), 2)


def measure(
    settings: Settings, truth: Mapping[str, Spoken], name: str, scale: float
) -> dict[tuple[str, str], Errors]:
    """Compare the boundaries of a set with the true ones.

    Args:
        settings: settings that the set was aligned with.
        truth: what was spoken, by sentence.
        name: name of the set.
        scale: factor on scores.

    Returns:
        The errors of each voice in each condition.
    """
    system = HmmSystem.load(system_folder(settings))
    data = DataDir.read(settings.corpus.dir / name)
    transcripts = transcripts_of(data, list(settings.corpus.languages))
    options, features = settings.alignment, settings.features
    beams = AlignOptions(options.acoustic_scale, options.beam, options.retry_beam)
    timer = Timer(system, beams, scale, by_gmm=options.from_run is None)
    clock = FrameTimes(features.frame_shift / 1000, features.frame_length / 1000)
    found: dict[tuple[str, str], Errors] = defaultdict(Errors)
    for utterance, matrix in _matrices(settings, data):
        sentence, condition = spoken_in(utterance)
        errors = found[truth[sentence].voice, condition]
        try:
            words = timer.words(utterance, transcripts[utterance], matrix)
        except AlignmentError:
            errors.failed += 1
            continue
        comparison = _Comparison(errors, clock, len(matrix))
        comparison.add(words, truth[sentence].words)
    return dict(found)


def _matrices(settings: Settings, data: DataDir) -> Iterator[tuple[str, Scores]]:
    if (run := settings.alignment.from_run) is not None:
        return network_scores(settings, run)(data.path.name)
    fbank = features_folder(settings, data.path.name)
    return speaker_features(data, ArkReader(fbank / "feats.scp"))


@dataclass(frozen=True)
class _Comparison:
    """Adds the boundaries of one utterance to errors."""

    errors: Errors
    clock: FrameTimes
    frames: int

    def add(
        self,
        words: Sequence[tuple[str, Sequence[SpokenPhone]]],
        truth: Sequence[tuple[str, tuple[Phone, ...]]],
    ) -> None:
        """Compare the begin of every phone, and the end of one that a pause follows.

        Words with other phones than were spoken are left out.
        """
        last = len(words) - 1
        for number, ((_, found), (_, spoken)) in enumerate(zip(words, truth, strict=True)):
            self.errors.words += 1
            if [phone.segment.label for phone in found] != [phone.label for phone in spoken]:
                self.errors.other_words += 1
                continue
            for phone, true in zip(found, spoken, strict=True):
                self._compare(phone.begin, phone.segment.start, true.start)
            end = found[-1].segment.start + found[-1].segment.num_frames
            following = truth[number + 1][1] if number < last else ()
            if not following or following[0].start > spoken[-1].end + _SAME:
                self._compare(found[-1].end, end, spoken[-1].end)

    def _compare(self, spread: Spread, path: int, true: float) -> None:
        errors, clock = self.errors, self.clock
        low, middle, high = places = quantiles(spread, (_LOW, _MIDDLE, _HIGH))
        near = _NEAR / clock.shift
        errors.promised.append(within(spread, middle - near, middle + near))
        low, middle, high, average = clock.of(
            np.asarray([*places, mean(spread)]), self.frames
        ).tolist()
        errors.errors["path"].append(path * clock.shift - true)
        errors.errors["mean"].append(average - true)
        errors.errors["median"].append(middle - true)
        errors.held.append(low <= true <= high)
        errors.widths.append(high - low)


def pooled(found: Iterable[Errors]) -> Errors:
    """Return the errors of several conditions or voices as those of one."""
    whole = Errors()
    for errors in found:
        for way, values in errors.errors.items():
            whole.errors[way] += values
        whole.held += errors.held
        whole.widths += errors.widths
        whole.promised += errors.promised
        whole.words += errors.words
        whole.other_words += errors.other_words
        whole.failed += errors.failed
    return whole
