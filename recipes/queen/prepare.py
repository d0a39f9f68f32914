"""The dialogue of Flight of the Amazon Queen as a corpus: acted English with many voices."""

from __future__ import annotations

import logging
import os
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
from .collect import collect
from .container import Container
from .fetch import Game, find_game
from .lexicon import LANGUAGE, lexicon

log = logging.getLogger("asr_hf.recipes.queen")

_FOLDER = Path(__file__).parent
_SAMPLE_RATE = 11025


@dataclass(frozen=True)
class _Choices:
    """What is chosen for the corpus.

    Args:
        name: name of the corpus.
        target: folder of the corpus.
        train_set: set of all that is not held out.
        held_out: characters of each other set.
        max_skipped: largest share of lines that may be skipped.
        order: order of the language model.
    """

    name: str
    target: Path
    train_set: str
    held_out: dict[str, list[str]]
    max_skipped: float
    order: int


def prepare(config: DictConfig) -> dict[str, Any]:
    """Write recordings, data directories, lexicon and language model into `config.corpus.dir`.

    Nothing to do when they are there already, made from the same file by the same rules.

    Returns:
        What corpus.json holds.

    Raises:
        InputError: the game's file cannot be had or is damaged, a character is not in it, too many
            lines had to be skipped, or the folder holds something else.
    """
    corpus = config.corpus
    choices = _Choices(
        corpus.name,
        Path(corpus.dir),
        corpus.train_set,
        {
            name: list(corpus.held_out.get(name, []))
            for name in corpus.sets
            if name != corpus.train_set
        },
        corpus.max_skipped,
        config.lm.order,
    )
    return _prepare(choices, find_game(corpus.source, Path(config.paths.cache)))


def _prepare(choices: _Choices, game: Game) -> dict[str, Any]:
    skips = SkipList(str(game.path), choices.max_skipped, "corpus.max_skipped")
    rules = [p for p in sorted(_FOLDER.iterdir()) if p.suffix in (".py", ".tsv", ".txt")]
    sources = {
        "recordings": Source.of_values(game.digest),
        "rules of the recipe": rules_source([*rules, Path(str(open_vocabulary.__file__))]),
        # Data directories name the recordings by their absolute paths.
        "place": Source.of_values(os.path.abspath(choices.target)),
    }
    settings = {"corpus.held_out": choices.held_out, "lm.order": choices.order}

    def make(part: Path) -> dict[str, Any]:
        return _make(choices, Container(game.path), part, skips)

    made = make_corpus(choices.target, settings, sources, make)
    # Where the corpus is kept from before, what was skipped then is held against today's limit.
    skips.reasons |= made["skipped"]
    skips.check(made["lines"])
    return made


def _make(choices: _Choices, container: Container, part: Path, skips: SkipList) -> dict[str, Any]:
    """Write the corpus into the folder `part`; what corpus.json says."""
    held_out = frozenset(name for names in choices.held_out.values() for name in names)
    wavs = os.path.join(os.path.abspath(choices.target), "wav")
    collected = collect(
        container, held_out, part / "wav", lambda name: os.path.join(wavs, name), skips
    )
    sets = _sets(choices, collected.items)
    entries = lexicon(word for item in collected.items for word in item.spoken.words)
    vocabulary = write_language(
        part / "lang" / LANGUAGE, entries, sets[choices.train_set], choices.order
    )
    write_sets(part, sets, choices.train_set)
    summary = {LANGUAGE: figures(sets, vocabulary, collected.dropped)}
    log.info("%s:\n%s", choices.target, table(summary))
    return {
        "name": choices.name,
        "languages": [LANGUAGE],
        "sample_rate": _SAMPLE_RATE,
        "summary": summary,
        "lines": collected.lines,
        "skipped": skips.reasons,
    }


def _sets(choices: _Choices, items: list[Recorded]) -> dict[str, list[Recorded]]:
    """The recordings of each set, by their speakers.

    Raises:
        InputError: a character is not in the game, or is held out twice.
    """
    speakers = {item.utterance.speaker for item in items}
    set_of: dict[str, str] = {}
    for name, characters in choices.held_out.items():
        for character in characters:
            if character not in speakers or character in set_of:
                again = f", and of {set_of[character]} too" if character in set_of else ""
                raise InputError(
                    f"corpus.held_out.{name}: {character!r} is no character of the game{again}",
                    expected=f"some of {', '.join(sorted(speakers))}, each once",
                )
            set_of[character] = name
    sets: dict[str, list[Recorded]] = {n: [] for n in (choices.train_set, *choices.held_out)}
    for item in items:
        sets[set_of.get(item.utterance.speaker, choices.train_set)].append(item)
    return sets
