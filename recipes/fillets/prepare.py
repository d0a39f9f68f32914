"""The dialogue of Fish Fillets as a corpus: acted Czech and Dutch, two leading voices in each."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.provenance import Source
from asr_hf.runtime.skips import SkipList
from asr_hf.stages.sources.corpus import make_corpus, rules_source

from .. import open_vocabulary
from ..open_vocabulary import Recorded, figures, table, write_language, write_sets
from .collect import Collected, Split, collect
from .fetch import Recordings, find_recordings
from .lexicon import lexicon

log = logging.getLogger("asr_hf.recipes.fillets")

_FOLDER = Path(__file__).parent
# Of most of the recordings (Hz).
_SAMPLE_RATE = 22050


@dataclass(frozen=True)
class _Choices:
    """What is chosen for the corpus.

    Args:
        name: name of the corpus.
        target: folder of the corpus.
        languages: codes of the languages.
        sets: names of the sets.
        split: rule by which recordings belong to sets.
        max_skipped: largest share of recordings that may be skipped.
        order: order of the language models.
    """

    name: str
    target: Path
    languages: list[str]
    sets: list[str]
    split: Split
    max_skipped: float
    order: int


def prepare(config: DictConfig) -> dict[str, Any]:
    """Write data directories, lexicons and language models into `config.corpus.dir`.

    Nothing to do when they are there already, made from the same recordings by the same rules.

    Returns:
        What corpus.json holds.

    Raises:
        InputError: recordings cannot be had, a set stays empty, too many recordings had to be
            skipped, or the folder holds something else.
    """
    corpus = config.corpus
    scenes = {scene: name for name in corpus.sets for scene in corpus.held_out_scenes.get(name, [])}
    others = corpus.other_voices if corpus.other_voices in corpus.sets else None
    choices = _Choices(
        corpus.name,
        Path(corpus.dir),
        list(corpus.languages),
        list(corpus.sets),
        Split(corpus.train_set, list(corpus.leading_voices), scenes, others),
        corpus.max_skipped,
        config.lm.order,
    )
    cache = Path(config.paths.cache)
    recordings = [find_recordings(name, corpus.source, cache) for name in choices.languages]
    return _prepare(choices, recordings)


def _prepare(choices: _Choices, recordings: list[Recordings]) -> dict[str, Any]:
    split = choices.split
    sources = {
        # Data directories name the recordings where they are.
        "recordings": Source.of_values(
            [[one.digest, str(next(iter(one.audio.values())))] for one in recordings]
        ),
        "rules of the recipe": rules_source(
            [*sorted(_FOLDER.glob("*.py")), Path(str(open_vocabulary.__file__))]
        ),
    }
    settings = {
        "corpus.sets": choices.sets,
        "corpus.leading_voices": list(split.leading),
        "corpus.held_out_scenes": dict(split.scenes),
        "corpus.other_voices": split.others,
        "lm.order": choices.order,
    }

    def make(part: Path) -> dict[str, Any]:
        return _make(choices, recordings, part)

    return make_corpus(choices.target, settings, sources, make)


def _make(choices: _Choices, recordings: list[Recordings], part: Path) -> dict[str, Any]:
    """Write the corpus into the folder `part`; what corpus.json says."""
    summary: dict[str, Any] = {}
    pooled: dict[str, list[Recorded]] = {}
    for spoken in recordings:
        key = "corpus.max_skipped"
        skips = SkipList(f"recordings {spoken.language}", choices.max_skipped, key)
        collected = collect(spoken, choices.split, skips)
        trained = collected.sets.get(choices.split.train, [])
        words = {
            w for items in collected.sets.values() for item in items for w in item.spoken.words
        }
        folder = part / "lang" / spoken.language
        vocabulary = write_language(folder, lexicon(words, spoken.language), trained, choices.order)
        sets = _ordered(choices, collected)
        dropped = collected.dropped | skips.reasons
        summary[spoken.language] = figures(sets, vocabulary, dropped)
        for name, items in sets.items():
            pooled[name] = pooled.get(name, []) + items
    if empty := [name for name in choices.sets if not pooled.get(name)]:
        raise InputError(
            f"corpus.sets: no recordings for {', '.join(empty)}",
            expected="scenes in corpus.held_out_scenes, or other voices than the leading ones",
            remedy=f"leave {' and '.join(empty)} out of corpus.sets",
        )
    write_sets(part, pooled, choices.split.train)
    log.info("%s:\n%s", choices.target, table(summary))
    return {
        "name": choices.name,
        "languages": choices.languages,
        "sample_rate": _SAMPLE_RATE,
        "summary": summary,
    }


def _ordered(choices: _Choices, collected: Collected) -> dict[str, list[Recorded]]:
    """The sets that a language has recordings for, in the order of corpus.sets."""
    return {name: collected.sets[name] for name in choices.sets if name in collected.sets}
