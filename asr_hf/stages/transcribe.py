"""Transcribe recordings that belong to no corpus."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_hf.hmm.search.decode import DecodingJob
from asr_hf.hmm.search.hear import hear_all
from asr_hf.runtime.progress import progress
from asr_hf.scoring.transcription import Transcription
from asr_hf.settings.settings import Settings
from asr_hf.stages.transcription.frames import Stretch
from asr_hf.stages.transcription.pack import model_of
from asr_hf.stages.transcription.recordings import AudioInput, audio_inputs
from asr_hf.stages.transcription.transcriber import Transcriber

log = logging.getLogger(__name__)

# Below this mean confidence of its words, a recording is perhaps no speech.
_DOUBTFUL = 0.5


@dataclass(frozen=True)
class TranscriptionOptions:
    """What a user says of recordings.

    Args:
        language: language of the speech; None where the run has but one.
        channel: number of the channel, from 1; None for the mean of all.
        longest: longest stretch (seconds) that is searched at once.
        pack: pack that stands in for a run; None takes the run.
    """

    language: str | None = None
    channel: int | None = None
    longest: float = 30.0
    pack: Path | None = None


def run(settings: Settings, paths: Sequence[Path], options: TranscriptionOptions) -> dict[str, Any]:
    """Transcribe recordings with the network of `run_dir`, or of a pack.

    Args:
        settings: settings of the run.
        paths: audio files.
        options: what else the user says.

    Returns:
        Under "transcriptions", what was recognised in each recording, in their order.

    Raises:
        InputError: a recording cannot be read, or see `Transcriber`.
    """
    recordings = audio_inputs(paths, options.channel)
    model = model_of(options.pack, settings)
    transcriber = Transcriber(model, settings, options.language, options.longest)
    found = transcribe(transcriber, recordings, settings.decode.jobs)
    transcriber.bounds.log("transcribing")
    for one in found:
        if one.words and one.confidence < _DOUBTFUL:
            log.warning(
                "%s: mean confidence %.2f: perhaps no speech, or of another kind than what the "
                "network was trained on",
                one.name,
                one.confidence,
            )
    return {"transcriptions": found}


def transcribe(
    transcriber: Transcriber, recordings: Sequence[AudioInput], processes: int
) -> list[Transcription]:
    """Transcribe recordings, several stretches at a time.

    Args:
        transcriber: network and graph.
        recordings: the recordings.
        processes: number of processes that search.

    Returns:
        What was recognised in each recording, in their order.
    """
    language = transcriber.language
    found = [Transcription(str(r.path), r.size.seconds, language) for r in recordings]
    # The stretches that are being searched, with the number of their recordings.
    begun: deque[tuple[int, Stretch]] = deque()

    def jobs() -> Iterator[DecodingJob]:
        for number, recording in enumerate(recordings):
            name = found[number].name
            samples = recording.read(transcriber.sample_rate)
            for stretch in transcriber.stretches(name, samples):
                begun.append((number, stretch))
                yield transcriber.job(name, stretch)

    seconds = sum(recording.size.seconds for recording in recordings)
    total = round(seconds / transcriber.shift)
    bar: Any = progress(desc="transcribing", total=total, unit="frames")
    with bar:
        for heard in hear_all(transcriber.source, jobs(), transcriber.weights, processes):
            number, stretch = begun.popleft()
            transcriber.add(found[number], stretch, heard)
            bar.update(heard.frames)
    return found
