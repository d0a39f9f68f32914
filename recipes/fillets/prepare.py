"""The dialogue of Fish Fillets as a corpus: acted Czech and Dutch, two leading voices in each."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.provenance import Source
from asr_hf.runtime.skips import SkipList
from asr_hf.settings.maker import make
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.corpus import make_corpus

from ..open_vocabulary import Recorded, figures, rules_of, table, write_language, write_sets
from .collect import Split, collect
from .fetch import Recordings, find_recordings
from .lexicon import lexicon

log = logging.getLogger("asr_hf.recipes.fillets")

_FOLDER = Path(__file__).parent
# Of most of the recordings (Hz).
_SAMPLE_RATE = 22050


@dataclass(frozen=True, kw_only=True)
class FilletsSettings:
    """Settings that are this recipe's own.

    Attributes:
        source: folder with the packages' files or the game's folders; None looks at the installed
            system, then fetches the packages.
        leading_voices: voices that are in all sets but that of the others.
        held_out_scenes: scenes of each set that holds out what these say there.
        other_voices: set of all other voices.
        max_skipped: largest share of recordings that may be skipped.
    """

    source: Path | None
    leading_voices: tuple[str, ...]
    held_out_scenes: Mapping[str, tuple[str, ...]]
    other_voices: str
    max_skipped: float


def prepare(settings: Settings) -> dict[str, Any]:
    """Write data directories, lexicons and language models into `corpus.dir`.

    Nothing to do when they are there already, made from the same recordings by the same rules.

    Returns:
        What corpus.json holds.

    Raises:
        InputError: recordings cannot be had, a set stays empty, too many recordings had to be
            skipped, or the folder holds something else.
    """
    corpus = settings.corpus
    own = make(FilletsSettings, corpus.own, "corpus")
    scenes = {scene: name for name in corpus.sets for scene in own.held_out_scenes.get(name, ())}
    others = own.other_voices if own.other_voices in corpus.sets else None
    split = Split(corpus.train_set, own.leading_voices, scenes, others)
    recordings = [
        find_recordings(name, own.source, settings.paths.cache) for name in corpus.languages
    ]
    sources = {
        # Data directories name the recordings where they are.
        "recordings": Source.of_values(
            [[spoken.digest, str(next(iter(spoken.audio.values())))] for spoken in recordings]
        ),
        "rules of the recipe": rules_of(_FOLDER),
    }
    choices = {
        "corpus.sets": list(corpus.sets),
        "corpus.leading_voices": list(own.leading_voices),
        "corpus.held_out_scenes": scenes,
        "corpus.other_voices": others,
        "lm.order": settings.lm.order,
    }

    def write(part: Path) -> dict[str, Any]:
        return _write(settings, split, own.max_skipped, recordings, part)

    return make_corpus(corpus.dir, choices, sources, write)


def _write(
    settings: Settings,
    split: Split,
    max_skipped: float,
    recordings: Sequence[Recordings],
    part: Path,
) -> dict[str, Any]:
    """Write the corpus into the folder `part`; what corpus.json says."""
    corpus = settings.corpus
    summary: dict[str, Any] = {}
    pooled: dict[str, list[Recorded]] = {}
    for spoken in recordings:
        language = spoken.language
        skips = SkipList(f"recordings {language}", max_skipped, "corpus.max_skipped")
        collected = collect(spoken, split, skips)
        sets = {name: collected.sets[name] for name in corpus.sets if name in collected.sets}
        words = {word for items in sets.values() for item in items for word in item.spoken.words}
        trained = sets.get(split.train, [])
        entries = lexicon(words, language)
        folder = part / "lang" / language
        vocabulary = write_language(folder, entries, trained, settings.lm.order)
        summary[language] = figures(sets, vocabulary, collected.dropped | skips.reasons)
        for name, items in sets.items():
            pooled[name] = pooled.get(name, []) + items
    if empty := [name for name in corpus.sets if not pooled.get(name)]:
        raise InputError(
            f"corpus.sets: no recordings for {', '.join(empty)}",
            expected="scenes in corpus.held_out_scenes, or other voices than the leading ones",
            remedy=f"leave {' and '.join(empty)} out of corpus.sets",
        )
    write_sets(part, pooled, split.train)
    log.info("%s:\n%s", corpus.dir, table(summary))
    return {
        "name": corpus.name,
        "languages": list(corpus.languages),
        "sample_rate": _SAMPLE_RATE,
        "summary": summary,
    }
