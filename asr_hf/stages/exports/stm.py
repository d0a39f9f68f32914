"""Writes reference transcripts in NIST's stm format."""

from __future__ import annotations

from pathlib import Path

from asr_hf.data.audio_check import measure
from asr_hf.data.fields import words_of
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.runtime.errors import InputError
from asr_hf.scoring.ctm import StmSegment, write_stm
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.recordings import file_and_channel, utterances_of


def write(settings: Settings, folder: Path) -> list[Path]:
    """Write the references of each set of `export.sets` to <set>/ref.stm.

    Args:
        settings: settings of the command.
        folder: folder of the export.

    Returns:
        The files that were written.

    Raises:
        InputError: an utterance has no transcript, or its length is not known.
    """
    written = []
    for name in settings.export.sets:
        location, utterances = file_and_channel(settings, name), utterances_of(settings, name)
        segments = [_segment(settings, name, u, *location(u)) for u in utterances.values()]
        written.append(folder / name / "ref.stm")
        write_stm(written[-1], segments)
    return written


def _segment(
    settings: Settings, name: str, utterance: Utterance, file: str, channel: str
) -> StmSegment:
    if utterance.text is None:
        raise InputError(
            f"{settings.corpus.dir}/{name}/text: utterance {utterance.id} has no transcript",
            remedy="an stm holds references: add it, or leave the set out of export.sets",
        )
    start = utterance.start or 0.0
    end = (
        utterance.end if utterance.end is not None else start + _seconds(settings, name, utterance)
    )
    words = tuple(words_of(utterance.text))
    return StmSegment(file, channel, utterance.speaker, start, end, words)


def _seconds(settings: Settings, name: str, utterance: Utterance) -> float:
    """Measure the length of an utterance's whole recording (s)."""
    wav = DataDir.read(settings.corpus.dir / name).wavs[utterance.recording]
    size = measure(wav)
    if isinstance(size, str):
        raise InputError(
            f"{wav}: its length cannot be read: {size}",
            expected="an audio file",
            remedy="give every utterance its end in segments",
        )
    return size.seconds
