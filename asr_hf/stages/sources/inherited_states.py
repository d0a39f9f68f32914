"""Takes phones and HMM states over from another corpus's system, for words of this corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from asr_hf.hmm.alignment.corpus import lexicons_of
from asr_hf.hmm.alignment.spoken_path import Transcript
from asr_hf.hmm.graph.language import Language
from asr_hf.hmm.graph.lexicon import SPOKEN_NOISE, UNKNOWN, Lexicon, SymbolTable
from asr_hf.hmm.system import HmmSystem
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.provenance import Source
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.expected import require

# Phones and words that a message names.
_MAX_PHONES, _MAX_WORDS = 20, 3


def inherited_states(
    settings: Settings, transcripts: Mapping[str, Transcript]
) -> tuple[dict[str, Source], Callable[[], HmmSystem]]:
    """Prepare an HMM system with the states of `alignment.states_from` and this corpus's words.

    Where the other system has no phone for spoken noise, there is no `<unk>`: utterances with
    unknown words are then skipped by name when they are aligned.

    Args:
        settings: settings of the command.
        transcripts: transcripts of the training set, by utterance.

    Returns:
        What the system is made from, by role, and a function that makes it.

    Raises:
        InputError: there is no such system, no network to align with is named, or the lexicon has
            phones that the system has no states for.
    """
    folder = settings.alignment.states_from
    assert folder is not None
    if settings.alignment.from_run is None:
        raise InputError(
            f"alignment.states_from={folder}: no network of these states is named",
            expected="alignment.from_run=<run folder> beside it",
            remedy="name the run whose outputs stand for these states",
        )
    if not (folder / "hmm.json").is_file():
        raise InputError(
            f"{folder}: no HMM system",
            expected="the folder that asr-hf align makes, with hmm.json",
            remedy="name it in alignment.states_from, or align that corpus first",
        )
    known = require(folder, "asr-hf align with the settings of that corpus")
    system = HmmSystem.load(folder)
    corpus, languages = settings.corpus.dir, list(settings.corpus.languages)
    lexicons = [
        _without_noise(lexicon, system.phones)
        for lexicon in lexicons_of(corpus / "lang", languages, transcripts)
    ]
    for lexicon in lexicons:
        _check_phones(lexicon, system.phones, folder, corpus)
    # Not with its settings: those of this corpus's alignment are others.
    sources = {
        "states": Source.of_file(folder / "hmm.json") if known is None else Source(known.digest),
        "lexicons": Source.of_values([lexicon.text() for lexicon in lexicons]),
    }
    return sources, lambda: _of_words(system, lexicons)


def _of_words(system: HmmSystem, lexicons: Iterable[Lexicon]) -> HmmSystem:
    languages = {lexicon.language: Language(lexicon, system.phones) for lexicon in lexicons}
    return replace(system, languages=languages)


def _without_noise(lexicon: Lexicon, phones: SymbolTable) -> Lexicon:
    """Take `<unk>` out of a lexicon where nothing stands for spoken noise."""
    spoken = lexicon.pronunciations
    if SPOKEN_NOISE in phones or spoken.get(UNKNOWN) != ((SPOKEN_NOISE,),):
        return lexicon
    return Lexicon(lexicon.language, {w: v for w, v in spoken.items() if w != UNKNOWN})


def _check_phones(lexicon: Lexicon, phones: SymbolTable, folder: Path, corpus: Path) -> None:
    """Refuse pronunciations with phones that the other system lacks.

    Raises:
        InputError: there are such; they are named with some of their words.
    """
    words_of: dict[str, list[str]] = {}
    for word, variants in lexicon.pronunciations.items():
        for phone in {phone for variant in variants for phone in variant if phone not in phones}:
            words_of.setdefault(phone, []).append(word)
    if not words_of:
        return
    named = [
        f"{phone} (in {', '.join(words_of[phone][:_MAX_WORDS])}"
        + (", ...)" if len(words_of[phone]) > _MAX_WORDS else ")")
        for phone in sorted(words_of)[:_MAX_PHONES]
    ]
    more = ", ..." if len(words_of) > _MAX_PHONES else ""
    there = [phone for phone in phones.symbols[1:] if phone not in words_of]
    raise InputError(
        f"{corpus / 'lang' / lexicon.language / 'lexicon.txt'}: {len(words_of)} phones that "
        f"{folder} has no states for: {', '.join(named)}{more}",
        expected=f"phones among {' '.join(there)}",
        remedy="corpus.lexicon=FILE with pronunciations in these phones, or adapt.states=new, "
        "which makes states of its own",
    )
