"""Makes training and dev sets: joins transcripts with recordings, and cuts them into parts."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asr_hf.data.audio import MAX_OVERSHOOT
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.progress import progress
from asr_hf.runtime.skips import SkipList

from .lexicon import LANGUAGE
from .settings import SubsetSettings, SwitchboardSettings
from .speakers import speaker_and_name
from .sphere import check_recording, side_of, write_channels
from .subsets import cap_copies, held_out_sizes
from .transcripts import Segment

log = logging.getLogger("asr_hf.recipes.switchboard")


@dataclass(frozen=True)
class TrainingData:
    """The utterances of Switchboard-1, by their use.

    Args:
        every: all usable utterances, sorted by id as in the C locale.
        dev: first utterances, which make the dev set.
        train: utterances of the chosen subset.
        language_model: utterances that the language model is made from.
        held_out: utterances that the language model is tested on, dev among them.
        wavs: file by side.
        untranscribed: recordings without transcript.
        skipped: reason by recording or utterance that is left out.
    """

    every: list[Utterance]
    dev: list[Utterance]
    train: list[Utterance]
    language_model: list[Utterance]
    held_out: list[Utterance]
    wavs: dict[str, str]
    untranscribed: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def write(self, folder: Path) -> None:
        """Write the data directories train and dev."""
        for name, utterances in (("train", self.train), ("dev", self.dev)):
            write_set(folder / name, utterances, self.wavs)


def write_set(folder: Path, utterances: Sequence[Utterance], wavs: dict[str, str]) -> None:
    """Write a data directory whose recordings are sides of conversations."""
    DataDir(folder, list(utterances), wavs).write()
    write_channels(folder, {u.recording for u in utterances})


def training_data(
    recipe_settings: SwitchboardSettings,
    max_skipped: float,
    segments: Sequence[Segment],
    recordings: Mapping[str, Path],
    speakers: dict[str, str],
) -> TrainingData:
    """Join transcripts with recordings and cut out the parts.

    A recording that cannot be used loses its utterances, up to `features.max_skipped` of all.

    Args:
        recipe_settings: settings of the recipe.
        max_skipped: largest share of the utterances that may be lost.
        segments: segments with words, from the transcripts.
        recordings: file by name of the recording.
        speakers: speaker by side; sides of unknown speakers are missing.

    Returns:
        The utterances by their use.

    Raises:
        InputError: too many utterances are lost, or the subset is unknown.
    """
    subset = _subset(recipe_settings)
    by_file: dict[str, list[Segment]] = defaultdict(list)
    for segment in segments:
        by_file[side_of(segment.recording)[0]].append(segment)
    skips = SkipList("Switchboard", max_skipped, "features.max_skipped")
    utterances: list[Utterance] = []
    wavs: dict[str, str] = {}
    for name, in_file in progress(by_file.items(), desc="recordings", unit="file"):
        usable = _usable(in_file, recordings.get(name), skips)
        wavs |= {segment.recording: str(recordings[name]) for segment in usable}
        utterances += [_utterance(segment, speakers) for segment in usable]
    skips.check(len(segments))
    _warn_unknown_speakers(wavs, speakers)
    utterances.sort(key=lambda utterance: utterance.id.encode())
    dev, held_out = held_out_sizes(
        len(utterances), recipe_settings.dev_utterances, recipe_settings.lm_held_out
    )
    if dev < recipe_settings.dev_utterances:
        log.info("a small corpus: %d utterances of dev, %d not in the LM", dev, held_out)
    rest = utterances[dev:][: subset.first]
    return TrainingData(
        every=utterances,
        dev=utterances[:dev],
        train=rest if subset.copies is None else cap_copies(rest, subset.copies),
        language_model=utterances[held_out:],
        held_out=utterances[:held_out],
        wavs=wavs,
        untranscribed=sorted(recordings.keys() - by_file.keys()),
        skipped=skips.reasons,
    )


def _subset(recipe_settings: SwitchboardSettings) -> SubsetSettings:
    """Return the settings of the part of the training data that is trained on."""
    name, subsets = recipe_settings.subset, recipe_settings.subsets
    if name not in subsets:
        raise InputError(
            f"corpus.subset: there is no {name!r}",
            expected=f"one of {', '.join(subsets)}",
            remedy="one of your own: +corpus.subsets.NAME={first: 50000, copies: 300}",
        )
    return subsets[name]


def _usable(segments: list[Segment], path: Path | None, skips: SkipList) -> list[Segment]:
    """Keep the segments of one recording that lie in its audio, and note why others do not."""
    name = side_of(segments[0].recording)[0]
    sound = f"{name}.sph: no such recording" if path is None else check_recording(path)
    if isinstance(sound, str):
        log.warning("%s", sound)
        for segment in segments:
            skips.reasons[segment.id] = sound
        return []
    usable = []
    for segment in segments:
        if segment.start < 100 * sound.seconds and segment.end <= 100 * (
            sound.seconds + MAX_OVERSHOOT
        ):
            usable.append(segment)
        else:
            skips.add(segment.id, f"not within the {sound.seconds:.2f} s of {sound.path}")
    return usable


def _utterance(segment: Segment, speakers: dict[str, str]) -> Utterance:
    speaker, name = speaker_and_name(segment.recording, segment.id, speakers)
    return Utterance(
        name,
        speaker,
        segment.recording,
        side_of(segment.recording)[1],
        segment.start / 100,
        segment.end / 100,
        " ".join(segment.words),
        LANGUAGE,
    )


def _warn_unknown_speakers(recordings: Mapping[str, str], speakers: dict[str, str]) -> None:
    unknown = sorted(recordings.keys() - speakers.keys()) if speakers else []
    if unknown:
        log.warning(
            "%d sides are not in conv.tab and stay speakers of their own: %s",
            len(unknown),
            " ".join(unknown[:10]) + (" ..." if len(unknown) > 10 else ""),
        )
