"""From the game's recordings and texts to recordings that can be trained on."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from asr_hf.data.kaldi_dir import Utterance
from asr_hf.runtime.progress import progress
from asr_hf.runtime.skips import SkipList

from ..open_vocabulary import Recorded, doubt_of, seconds_of
from ..table.text import Spoken, read_transcript
from .dialogs import Dialog, read_dialogs
from .fetch import Recordings
from .lexicon import letters

# What both leading voices say together.
_BOTH = "both"


@dataclass(frozen=True)
class Split:
    """Which set a recording belongs to.

    Args:
        train: name of the training set.
        leading: voices that are trained on.
        scenes: scene -> set of what leading voices say in it, for those that are held out.
        others: set of all other voices; None leaves them out.
    """

    train: str
    leading: Collection[str]
    scenes: Mapping[str, str]
    others: str | None

    def set_of(self, voice: str, scene: str) -> str | None:
        """Return the set of what a voice says in a scene; None where it is left out."""
        if voice not in self.leading:
            return self.others
        return self.scenes.get(scene, self.train)


@dataclass
class Collected:
    """What came out of the recordings of a language.

    Args:
        sets: set -> usable recordings.
        dropped: recordings and texts that were left out, with the reasons.
    """

    sets: dict[str, list[Recorded]] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)


def collect(recordings: Recordings, split: Split, skips: SkipList) -> Collected:
    """Match texts with recordings by scene and name.

    Args:
        recordings: recordings and texts of a language.
        split: rule by which recordings belong to sets.
        skips: list that takes recordings that do not fit their texts.

    Returns:
        Usable recordings by set, and what was left out.

    Raises:
        InputError: a script is damaged, or too much had to be skipped.
    """
    texts = {
        (scene, name): dialog
        for scene, paths in recordings.scripts.items()
        for path in paths
        for name, dialog in read_dialogs(path).items()
    }
    collected = Collected()
    unheard = texts.keys() - {(key[0], key[-1]) for key in recordings.audio}
    collected.dropped |= {
        f"{scene}/{name}": "text without recording"
        for scene, name in sorted(unheard)
        if texts[scene, name].text.strip()
    }
    description = f"recordings {recordings.language}"
    for key, wav in progress(sorted(recordings.audio.items()), desc=description, unit="file"):
        name, dialog = "/".join(key), texts.get((key[0], key[-1]))
        if dialog is None:
            collected.dropped[name] = "recording without text"
            continue
        spoken = read_transcript(dialog.text, recordings.language, recordings.language)
        chosen = split.set_of(dialog.voice, key[0])
        if doubt := _doubt(dialog, spoken, chosen):
            collected.dropped[name] = doubt
            continue
        seconds = seconds_of(wav, spoken)
        if isinstance(seconds, str):
            skips.add(name, seconds)
        elif chosen is not None:
            item = _recorded(recordings.language, key, dialog, spoken, wav, seconds)
            collected.sets.setdefault(chosen, []).append(item)
    skips.check(len(recordings.audio))
    return collected


def _doubt(dialog: Dialog, spoken: Spoken, chosen: str | None) -> str:
    """Return why a recording is left out; empty for most."""
    if "%" in dialog.text:
        return "a text that the game fills in"
    if doubt := doubt_of(spoken):
        return doubt
    if any(letters(word) is None for word in spoken.words):
        return "a word that is not read by its letters"
    if dialog.voice == _BOTH:
        return "two voices at once"
    return "another voice than the leading ones" if chosen is None else ""


def _recorded(
    language: str, key: tuple[str, ...], dialog: Dialog, spoken: Spoken, wav: Path, seconds: float
) -> Recorded:
    speaker = f"{language}_{dialog.voice}"
    utterance = f"{speaker}-{'_'.join(key)}"
    # Some files have two channels; both hold the voice.
    return Recorded(
        Utterance(utterance, speaker, utterance, language=language), str(wav), spoken, seconds
    )
