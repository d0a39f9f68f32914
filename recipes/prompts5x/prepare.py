"""Prepares altered copies of voice prompts: a larger, harder corpus made from a clean one.

`asr-hf align` takes the copies' alignments over from the clean corpus.
"""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path
from typing import Any

import soundfile

from asr_hf.data import augment
from asr_hf.data.augment.chain import EffectSettings
from asr_hf.data.augment.copies import draw_copies, make_copies, utterances_of
from asr_hf.data.augment.table import Copy, write_copies
from asr_hf.data.fields import words_of
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.runtime import artefact
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json
from asr_hf.runtime.provenance import Source
from asr_hf.runtime.skips import SkipList
from asr_hf.settings.corpus import AugmentationSettings
from asr_hf.settings.maker import MissingSetting
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.corpus import make_corpus, rules_source
from asr_hf.stages.sources.layout import clean_corpus

log = logging.getLogger("asr_hf.recipes.prompts5x")


def prepare(settings: Settings) -> dict[str, Any]:
    """Write data directories, altered recordings and language models into `corpus.dir`.

    Nothing to do when they are there already, made from the same corpus with the same settings.

    Returns:
        What corpus.json holds.

    Raises:
        InputError: the clean corpus is missing, a setting is not possible, or the folder holds
            something else.
    """
    target, clean = settings.corpus.dir, _clean(settings)
    augmentation = _augmentation(settings)
    effects = EffectSettings.from_config(augmentation.effects)
    effects.band.check(clean["sample_rate"])
    known = artefact.find(clean_corpus(settings))
    code = (Path(__file__), *sorted(Path(augment.__path__[0]).glob("*.py")))
    sources = {
        "clean corpus": Source.of_values(clean) if known is None else known.source,
        "rules of the recipe": rules_source(code),
        # Data directories name the recordings by their absolute paths.
        "place": Source.of_values(str(target)),
    }
    keys = ("corpus.augmentation", "corpus.sets")
    choices = {key: settings.plain(key) for key in keys}

    def make(part: Path) -> dict[str, Any]:
        shutil.copytree(clean_corpus(settings) / "lang", part / "lang")
        sets = {name: _write_set(settings, part, name, effects) for name in settings.corpus.sets}
        log.info("%s:\n%s", target, table(sets))
        return {
            "name": settings.corpus.name,
            "languages": list(settings.corpus.languages),
            "sample_rate": clean["sample_rate"],
            "summary": {"clean": settings.corpus.clean, "sets": sets},
        }

    return make_corpus(target, choices, sources, make)


def _augmentation(settings: Settings) -> AugmentationSettings:
    """Return the settings of the corpus's altered copies.

    Raises:
        MissingSetting: there are none.
    """
    if settings.corpus.augmentation is None:
        raise MissingSetting("there is no corpus.augmentation")
    return settings.corpus.augmentation


def _clean(settings: Settings) -> dict[str, Any]:
    """Return corpus.json of the corpus that copies are made from.

    Raises:
        InputError: the corpus is not there, or lacks a language.
    """
    folder, corpus, name = clean_corpus(settings), settings.corpus, settings.corpus.clean
    if not (folder / "corpus.json").is_file():
        raise InputError(
            f"{folder}: the corpus {name!r}, which {corpus.name!r} is made of, is not there",
            remedy=f"make data-{name}   (or: asr-hf prepare, features, align with +recipe={name})",
        )
    about: dict[str, Any] = read_json(folder / "corpus.json")
    if lacking := sorted(set(settings.corpus.languages) - set(about["languages"])):
        raise InputError(
            f"{folder}: the language {lacking[0]!r} is missing",
            expected=", ".join(settings.corpus.languages),
            remedy=f"prepare {name} with all of them",
        )
    return about


def _write_set(
    settings: Settings, part: Path, name: str, effects: EffectSettings
) -> dict[str, Any]:
    """Write one set: its recordings, data directory and table of what was drawn."""
    augmentation = _augmentation(settings)
    if name not in augmentation.sets:
        raise InputError(
            f"corpus.augmentation.sets: says nothing of the set {name!r} of corpus.sets",
            expected=f"{name}: {{of: train, clean: true, copies: 4}}, for example",
        )
    made_of = augmentation.sets[name]
    clean = DataDir.read(clean_corpus(settings) / made_of.of)
    copies = draw_copies(clean, made_of.copies, effects, augmentation.seed)
    skips = SkipList(f"copies for {name}", settings.features.max_skipped, "features.max_skipped")
    rate, jobs = settings.features.sample_rate, settings.features.jobs
    if rate is None:
        raise InputError("features.sample_rate=null: copies are made at one rate", remedy="set it")
    samples = make_copies(clean, copies, part / "wav" / name, rate, jobs, skips)
    copies = [copy for copy in copies if copy.utterance in samples]
    # The folder of the files once the corpus is in its place.
    wavs = {u: os.path.join(settings.corpus.dir, "wav", name, f"{u}.wav") for u in samples}
    utterances = utterances_of(clean, copies)
    if made_of.clean:
        utterances += clean.utterances
        wavs |= clean.wavs
    DataDir(part / name, utterances, wavs).write()
    if copies:
        write_copies(part / name, copies)
    clean_seconds = _seconds(clean) if made_of.clean else 0.0
    return _summary(utterances, copies, clean_seconds, sum(samples.values()) / rate, skips)


def _seconds(data: DataDir) -> float:
    """Add up the lengths of all utterances of a clean set."""
    durations = {r: soundfile.info(wav).duration for r, wav in data.wavs.items()}
    return sum(
        (durations[u.recording] if u.end is None else u.end) - (u.start or 0.0)
        for u in data.utterances
    )


def _summary(
    utterances: list[Utterance],
    copies: list[Copy],
    clean_seconds: float,
    copied_seconds: float,
    skips: SkipList,
) -> dict[str, Any]:
    """Summarise a set for corpus.json."""
    drawn = [copy.effects for copy in copies]
    return {
        "utterances": len(utterances),
        "copies": len(copies),
        "minutes": round((clean_seconds + copied_seconds) / 60, 2),
        "copied_minutes": round(copied_seconds / 60, 2),
        "words": sum(len(words_of(u.text or "")) for u in utterances),
        "copies_with": {
            "another_speed": sum(effects.speed != 1 for effects in drawn),
            "babble": sum(effects.babble is not None for effects in drawn),
            "noise": sum(effects.noise is not None for effects in drawn),
            "band": sum(effects.band is not None for effects in drawn),
            "mulaw": sum(effects.codec == "mulaw" for effects in drawn),
            "gsm": sum(effects.codec == "gsm" for effects in drawn),
        },
        "skipped": skips.reasons,
    }


def table(sets: dict[str, Any]) -> str:
    """Write the summary as a Markdown table."""
    lines = [
        "| set | utterances | copies | hours | words "
        "| speed | babble | noise | band | mulaw | gsm |",
        "|" + "---|" * 11,
    ]
    for name, row in sets.items():
        effects = " | ".join(str(count) for count in row["copies_with"].values())
        lines.append(
            f"| {name} | {row['utterances']} | {row['copies']} | {row['minutes'] / 60:.2f} | "
            f"{row['words']} | {effects} |"
        )
    return "\n".join(lines)
