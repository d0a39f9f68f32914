"""Finds the times of words and phones of sets, and writes them in a form for other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_hf.data.audio_check import measure
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.data.times import TimedRecording, TimedUtterance
from asr_hf.hmm.alignment.spoken_path import AlignOptions, Transcript
from asr_hf.hmm.alignment.times import FrameTimes, TimesOptions, time_set
from asr_hf.hmm.scores import Scores
from asr_hf.hmm.system import HmmSystem
from asr_hf.runtime.artefact import current_or_make
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_text
from asr_hf.runtime.progress import progress
from asr_hf.runtime.provenance import ArtefactSpec, Source
from asr_hf.runtime.skips import SkipList
from asr_hf.scoring.time_forms import TIME_FORMS, check_names
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.expected import features_source
from asr_hf.stages.sources.hmms import transcripts_source
from asr_hf.stages.sources.layout import alignment_folder, features_folder
from asr_hf.stages.sources.recordings import file_and_channel
from asr_hf.stages.timing.kept_times import KeptTimes, write_times

# Factors on scores, by which intervals hold nine boundaries of ten: of the mixtures, and of a
# network (docs/alignment.md says how they were found).
GMM_SCALE, NETWORK_SCALE = 0.022, 0.1
_KIND, _LIMIT = "times", "alignment.max_skipped"
# Starting a process takes as long as finding the times of so many utterances.
_WORTH_A_PROCESS = 100
_KEYS = ("alignment.acoustic_scale", "alignment.beam", "alignment.retry_beam")

Matrices = Callable[[DataDir], Iterator[tuple[str, Scores]]]


@dataclass(frozen=True)
class TimesWanted:
    """What a user wants of times.

    Args:
        form: name of their form.
        folder: folder that holds a folder for each set; None for that of the set's alignments.
    """

    form: str
    folder: Path | None = None


@dataclass(frozen=True)
class TimedSets:
    """Finds and writes the times of sets.

    Args:
        settings: settings of the command.
        system: HMM system.
        sources: sources that the alignments of every set have in common.
        transcripts: transcripts of each set, by utterance.
        matrices: function that returns a set's utterances with their log likelihoods
            [frames, pdfs], or with the features [frames, dim] that the mixtures score.
        by_gmm: whether the mixtures score.
    """

    settings: Settings
    system: HmmSystem
    sources: Mapping[str, Source]
    transcripts: Mapping[str, dict[str, Transcript]]
    matrices: Matrices
    by_gmm: bool

    def write(self, data: DataDir, wanted: TimesWanted) -> dict[str, Any]:
        """Write the times of a set; find them first unless they are current.

        Args:
            data: data directory of the set.
            wanted: what the user wants.

        Returns:
            The folder of the files, their number, and the numbers of words and of skipped
            utterances.

        Raises:
            InputError: too many utterances have no times, or the duration of a recording is needed
                and cannot be measured.
        """
        settings, name = self.settings, data.path.name
        form = TIME_FORMS[wanted.form]
        check_names(sorted({utterance.recording for utterance in data.utterances}))
        folder = alignment_folder(settings, name) / "times"
        skips = SkipList(f"times of {name}", settings.alignment.max_skipped, _LIMIT)
        known = current_or_make(
            folder,
            self._spec(data),
            lambda part: self._made(data, part, skips),
            skips=(skips, len(data.utterances)),
        )
        goal = folder / wanted.form if wanted.folder is None else wanted.folder / name
        recordings = _recordings(settings, data, KeptTimes(folder), form.measured)
        count = 0
        for file, text in form.write(recordings):
            write_text(goal / file, text)
            count += 1
        skipped = len(known.about["skipped"])
        return {"folder": goal, "files": count, "words": known.about["words"], "skipped": skipped}

    def _spec(self, data: DataDir) -> ArtefactSpec:
        features = features_source(
            self.settings, data, features_folder(self.settings, data.path.name)
        )
        sources = {
            **self.sources,
            "transcripts": transcripts_source(data),
            "features": features,
            "scale": Source.of_values(self._scale),
        }
        return ArtefactSpec(_KIND, {key: self.settings.plain(key) for key in _KEYS}, sources)

    @property
    def _scale(self) -> float:
        return GMM_SCALE if self.by_gmm else NETWORK_SCALE

    def _made(self, data: DataDir, folder: Path, skips: SkipList) -> dict[str, Any]:
        """Find the times of a set; return what their record says."""
        options, name, features = self.settings.alignment, data.path.name, self.settings.features
        transcripts = self.transcripts[name]
        wanted = TimesOptions(
            AlignOptions(options.acoustic_scale, options.beam, options.retry_beam),
            self._scale,
            FrameTimes(features.frame_shift / 1000, features.frame_length / 1000),
        )
        matrices: Iterable[tuple[str, Scores]] = progress(
            self.matrices(data), desc=f"times of {name}", total=len(transcripts), unit="utt"
        )
        jobs = min(options.jobs, 1 + len(transcripts) // _WORTH_A_PROCESS)
        found = time_set(
            self.system, matrices, transcripts, wanted, skips, by_gmm=self.by_gmm, jobs=jobs
        )
        words = 0

        def counted() -> Iterator[Any]:
            nonlocal words
            for utterance, timed in found:
                words += len(timed)
                yield utterance, timed

        write_times(folder, counted())
        skips.check(len(transcripts))
        return {"words": words, "skipped": skips.reasons}


def _recordings(
    settings: Settings, data: DataDir, times: KeptTimes, measured: bool
) -> Iterator[TimedRecording]:
    """Yield the recordings that have times, in the order of their names.

    Raises:
        InputError: the duration of a recording cannot be measured.
    """
    location = file_and_channel(settings, data.path.name)
    spoken: dict[str, list[Utterance]] = {}
    for utterance in data.utterances:
        if utterance.id in times:
            spoken.setdefault(utterance.recording, []).append(utterance)
    for recording, utterances in sorted(spoken.items()):
        utterances.sort(key=lambda utterance: utterance.start or 0.0)
        yield TimedRecording(
            recording,
            *location(utterances[0]),
            _seconds(data, recording) if measured else None,
            tuple(_utterance(utterance, times) for utterance in utterances),
        )


def _utterance(utterance: Utterance, times: KeptTimes) -> TimedUtterance:
    start = utterance.start or 0.0
    words = tuple(word.later(start) for word in times.words(utterance.id))
    return TimedUtterance(utterance.id, utterance.speaker, start, words)


def _seconds(data: DataDir, recording: str) -> float:
    """Return the duration of the audio of a recording (seconds).

    Raises:
        InputError: it is a command, or cannot be read.
    """
    wav = data.wavs[recording]
    size = "a command, which is not run here" if wav.endswith("|") else measure(wav)
    if isinstance(size, str):
        raise InputError(
            f"{data.path}/wav.scp: recording {recording}: {wav}: {size}",
            expected="an audio file, whose duration the TextGrid has",
            remedy="name a file there, or --format ctm or json, which need no duration",
        )
    return size.seconds
