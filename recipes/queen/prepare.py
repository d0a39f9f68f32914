"""The dialogue of Flight of the Amazon Queen as a corpus: acted English with many voices."""

from __future__ import annotations

import logging
import os
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
from .collect import collect
from .container import Container
from .fetch import find_game
from .lexicon import LANGUAGE, lexicon

log = logging.getLogger("asr_hf.recipes.queen")

_FOLDER = Path(__file__).parent
_SAMPLE_RATE = 11025


@dataclass(frozen=True, kw_only=True)
class QueenSettings:
    """Settings that are this recipe's own.

    Attributes:
        source: package file, or folder with it or with the game's file; None looks at the
            installed system, then fetches the package.
        held_out: characters of each set that is held out.
        max_skipped: largest share of the recorded lines that may be skipped.
    """

    source: Path | None
    held_out: Mapping[str, tuple[str, ...]]
    max_skipped: float


def prepare(settings: Settings) -> dict[str, Any]:
    """Write recordings, data directories, lexicon and language model into `corpus.dir`.

    Nothing to do when they are there already, made from the same file by the same rules.

    Returns:
        What corpus.json holds.

    Raises:
        InputError: the game's file cannot be had or is damaged, a character is not in it, too many
            lines had to be skipped, or the folder holds something else.
    """
    corpus = settings.corpus
    own = make(QueenSettings, corpus.own, "corpus")
    held_out = {
        name: own.held_out.get(name, ()) for name in corpus.sets if name != corpus.train_set
    }
    game = find_game(own.source, settings.paths.cache)
    skips = SkipList(str(game.path), own.max_skipped, "corpus.max_skipped")
    sources = {
        "recordings": Source.of_values(game.digest),
        "rules of the recipe": rules_of(_FOLDER, (".py", ".tsv", ".txt")),
        # Data directories name the recordings by their absolute paths.
        "place": Source.of_values(os.path.abspath(corpus.dir)),
    }
    choices = {
        "corpus.held_out": {name: list(characters) for name, characters in held_out.items()},
        "lm.order": settings.lm.order,
    }

    def write(part: Path) -> dict[str, Any]:
        return _write(settings, held_out, Container(game.path), part, skips)

    made = make_corpus(corpus.dir, choices, sources, write)
    # Where the corpus is kept from before, what was skipped then is held against today's limit.
    skips.reasons |= made["skipped"]
    skips.check(made["lines"])
    return made


def _write(
    settings: Settings,
    held_out: Mapping[str, Sequence[str]],
    container: Container,
    part: Path,
    skips: SkipList,
) -> dict[str, Any]:
    """Write the corpus into the folder `part`; what corpus.json says."""
    corpus = settings.corpus
    wavs = os.path.join(os.path.abspath(corpus.dir), "wav")
    collected = collect(
        container,
        frozenset(character for characters in held_out.values() for character in characters),
        part / "wav",
        lambda name: os.path.join(wavs, name),
        skips,
    )
    sets = _sets(corpus.train_set, held_out, collected.items)
    entries = lexicon(word for item in collected.items for word in item.spoken.words)
    trained = sets[corpus.train_set]
    vocabulary = write_language(part / "lang" / LANGUAGE, entries, trained, settings.lm.order)
    write_sets(part, sets, corpus.train_set)
    summary = {LANGUAGE: figures(sets, vocabulary, collected.dropped)}
    log.info("%s:\n%s", corpus.dir, table(summary))
    return {
        "name": corpus.name,
        "languages": [LANGUAGE],
        "sample_rate": _SAMPLE_RATE,
        "summary": summary,
        "lines": collected.lines,
        "skipped": skips.reasons,
    }


def _sets(
    train_set: str, held_out: Mapping[str, Sequence[str]], items: Sequence[Recorded]
) -> dict[str, list[Recorded]]:
    """Divide recordings among the sets by their speakers.

    Returns:
        Set -> recordings.

    Raises:
        InputError: a character is not in the game, or is held out twice.
    """
    speakers = {item.utterance.speaker for item in items}
    set_of: dict[str, str] = {}
    for name, characters in held_out.items():
        for character in characters:
            if character not in speakers or character in set_of:
                again = f", and of {set_of[character]} too" if character in set_of else ""
                raise InputError(
                    f"corpus.held_out.{name}: {character!r} is no character of the game{again}",
                    expected=f"some of {', '.join(sorted(speakers))}, each once",
                )
            set_of[character] = name
    sets: dict[str, list[Recorded]] = {n: [] for n in (train_set, *held_out)}
    for item in items:
        sets[set_of.get(item.utterance.speaker, train_set)].append(item)
    return sets
