"""Makes a corpus from a table of recordings, transcripts and speakers."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from asr_hf.data.fields import composed, read_lines
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.hmm.graph.lexicon import SILENCE_PHONES
from asr_hf.hmm.graph.ngram import estimate_ngram
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_text
from asr_hf.runtime.provenance import Source
from asr_hf.runtime.skips import SkipList
from asr_hf.settings.corpus import CorpusSettings
from asr_hf.settings.maker import make
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.corpus import make_corpus, rules_source

from .collect import Collector, Item, numbers_of, of_languages
from .lexicon import MAX_NAMED, Entries, guessed, looked_up, read_dictionary, spelled
from .rows import Row, read_rows
from .settings import TableSettings
from .split import MANY_SPEAKERS, split_by
from .summary import count_set, summary_table
from .text import read_transcript

log = logging.getLogger("asr_hf.recipes.table")

_FOLDER = Path(__file__).parent
_MISSING_WORDS = ("noise", "g2p")
# Settings that a corpus depends on.
_SETTINGS = (
    "corpus.languages",
    "corpus.sets",
    "corpus.sample_rate",
    "corpus.tidy",
    "corpus.numbers",
    "corpus.missing_words",
    "corpus.held_out",
    "corpus.audio",
    "lm.order",
)


@dataclass(frozen=True)
class _Making:
    """The settings that the corpus is made by.

    Attributes:
        corpus: settings of the corpus.
        settings: settings of the recipe itself.
        table: file of the table.
        order: order of the language models.
    """

    corpus: CorpusSettings
    settings: TableSettings
    table: Path
    order: int

    def of_languages(self, key: str) -> dict[str, str]:
        """Return the values of one of the recipe's settings by language."""
        return of_languages(vars(self.settings)[key], key, self.corpus.languages)


def prepare(settings: Settings) -> dict[str, Any]:
    """Write data directories, lexicons and language models into `corpus.dir`.

    Do nothing where they were made from the same table, files and settings before.

    Returns:
        What corpus.json holds.

    Raises:
        InputError: the table is missing or malformed, or too many of its rows cannot be used.
    """
    corpus = settings.corpus
    if corpus.table is None:
        raise InputError(
            "corpus.table=null: no table of recordings",
            expected="a file with columns audio and text, and perhaps speaker, split, ...",
            remedy="asr-hf prepare table=my.tsv",
        )
    recipe_settings = make(TableSettings, corpus.own, "corpus")
    if recipe_settings.missing_words not in _MISSING_WORDS:
        raise InputError(
            f"corpus.missing_words={recipe_settings.missing_words}",
            expected=f"one of {', '.join(_MISSING_WORDS)}",
        )
    making = _Making(corpus, recipe_settings, corpus.table, settings.lm.order)
    numbers_of(recipe_settings.numbers, corpus.languages)
    rows = read_rows(corpus.table)
    dictionaries = making.of_languages("lexicon")
    skips = SkipList(str(corpus.table), recipe_settings.max_skipped, "corpus.max_skipped")
    collector = Collector(corpus, recipe_settings, corpus.table, not dictionaries, skips)

    def write(part: Path) -> dict[str, Any]:
        items = collector.items(rows)
        skips.check(len(rows))
        return _make(making, part, items, skips, collector)

    recorded = {key: settings.plain(key) for key in _SETTINGS}
    made = make_corpus(corpus.dir, recorded, _made_from(making, rows, collector), write)
    if not skips.reasons:
        # The corpus was kept: its skipped rows are compared with the present limit.
        skips.reasons |= made["skipped"]
        skips.check(len(rows))
    return made


def _make(
    making: _Making, part: Path, items: list[Item], skips: SkipList, collector: Collector
) -> dict[str, Any]:
    """Write the corpus into the folder `part`; return the content of corpus.json."""
    sample_rate = _sample_rate(making.settings.sample_rate, making.table, items)
    sets = _sets(making, items)
    summary = {
        language: _write_language(making, part, language, sets)
        for language in making.corpus.languages
    }
    for name, members in sets.items():
        wavs = {item.utterance.recording: str(item.wav) for item in members}
        trained = name == making.corpus.train_set
        DataDir(part / name, [_written(item, trained) for item in members], wavs).write()
    log.info("%s:\n%s", making.corpus.dir, summary_table(summary))
    if collector.marks:
        marks = ", ".join(f"{mark} {n}" for mark, n in collector.marks.most_common(20))
        log.info("marks that are no words; noises train spn and are not scored: %s", marks)
    return {
        "name": making.corpus.name,
        "languages": list(making.corpus.languages),
        "sample_rate": sample_rate,
        "summary": summary,
        "skipped": skips.reasons,
        "marks_left_out": dict(collector.marks),
    }


def _written(item: Item, trained: bool) -> Utterance:
    """Make the utterance of a set; marked noises are in training sets only."""
    words = item.sounds if trained else item.words
    return replace(item.utterance, text=" ".join(words))


def _made_from(making: _Making, rows: list[Row], collector: Collector) -> dict[str, Source]:
    """Identify the table, the files that it names and the recipe; audio by size and time stamp."""
    files = {
        f"corpus.{key} of {language}": Source.of_file(Path(path))
        for key in ("lexicon", "lm_text")
        for language, path in sorted(making.of_languages(key).items())
        if Path(path).is_file()
    }
    audio = [_stamp(wav) for wav in sorted({collector.path_of(row) for row in rows})]
    return files | {
        "table": Source.of_values([asdict(row) for row in rows]),
        "audio": Source.of_values(audio),
        "rules of the recipe": rules_source(sorted(_FOLDER.glob("*.py"))),
    }


def _stamp(wav: Path) -> list[str | int]:
    try:
        about = wav.stat()
    except (OSError, ValueError):
        return [str(wav)]
    return [str(wav), about.st_size, about.st_mtime_ns]


def _sample_rate(given: int | None, table: Path, items: list[Item]) -> int:
    """Return the given sample rate, or else the one that most recordings have (Hz)."""
    rates = Counter({item.wav: item.sample_rate for item in items}.values())
    sample_rate = given or max(rates, key=lambda rate: (rates[rate], rate))
    if max(rates) < sample_rate:
        raise InputError(
            f"{table}: no recording has more than {max(rates)} Hz",
            expected=f"corpus.sample_rate={sample_rate}, or more, in some",
            remedy=f"leave corpus.sample_rate out, or corpus.sample_rate={max(rates)}",
        )
    for rate, count in sorted(rates.items()):
        if rate != sample_rate:
            how = "filled up from" if rate < sample_rate else "brought down from"
            log.info("%d recordings are %s %d to %d Hz", count, how, rate, sample_rate)
    return sample_rate


def _sets(making: _Making, items: list[Item]) -> dict[str, list[Item]]:
    """Divide the items into sets, by the table where it names sets."""
    names, table = list(making.corpus.sets), making.table
    if any(item.split for item in items):
        split = {item.utterance.id: item.split or "train" for item in items}
    else:
        speakers = {item.utterance.speaker for item in items}
        apart = MANY_SPEAKERS <= len(speakers) < len(items)
        held_out = [name for name in names if name != making.corpus.train_set]
        split = split_by(
            {i.utterance.id: i.utterance.speaker if apart else " ".join(i.words) for i in items},
            {i.utterance.id: i.seconds for i in items},
            held_out,
            making.settings.held_out,
        )
        kept = "speakers of their own" if apart else "sentences of their own"
        log.info("no column says what is held out: %s have %s", " and ".join(held_out), kept)
    sets = {name: [i for i in items if split[i.utterance.id] == name] for name in names}
    if empty := [name for name, members in sets.items() if not members]:
        counts = ", ".join(f"{n} {s}" for s, n in sorted(Counter(split.values()).items()))
        raise InputError(
            f"{table}: no recordings for {', '.join(empty)}",
            expected=f"some for each of {', '.join(names)}; found {counts}",
            remedy="mend or remove the column of splits; corpus.sets=[train,dev] needs no test",
        )
    left_out = sum(s not in names for s in split.values())
    if left_out:
        log.warning("%s: %d recordings are of no set in corpus.sets", table, left_out)
    return sets


def _write_language(
    making: _Making, part: Path, language: str, sets: dict[str, list[Item]]
) -> dict[str, Any]:
    """Write a language's lexicon, language model and its text; return a summary of each set."""
    by_set = {
        name: [item for item in members if item.utterance.language == language]
        for name, members in sets.items()
    }
    sentences = [item.words for item in by_set[making.corpus.train_set]]
    if not sentences:
        raise InputError(f"no training recordings in {language!r}", remedy="mend corpus.languages")
    sentences += _more_text(making, language)
    spoken = {word for members in by_set.values() for item in members for word in item.words}
    written = {word for sentence in sentences for word in sentence}
    folder = part / "lang" / language
    entries = _entries(making, language, spoken | written, folder)
    known = {word for word, _ in entries}
    lexicon = "".join(f"{word} {' '.join(phones)}\n" for word, phones in entries)
    write_text(folder / "lexicon.txt", lexicon)
    write_text(folder / "lm_text", "".join(" ".join(words) + "\n" for words in sentences))
    # Words that the training text lacks cannot be recognised, even with a pronunciation.
    vocabulary = known & (written | {entries[0][0]})
    write_text(folder / "lm.arpa", estimate_ngram(sentences, vocabulary, making.order))
    missing = Counter(w for m in by_set.values() for i in m for w in i.words if w not in known)
    if missing:
        write_text(folder / "missing.txt", "".join(f"{w} {n}\n" for w, n in missing.most_common()))
        log.warning(
            "%s: %d words are not in the dictionary and become <unk>, most often %s (missing.txt)",
            language,
            len(missing),
            " ".join(word for word, _ in missing.most_common(MAX_NAMED)),
        )
    return {name: count_set(members, vocabulary) for name, members in by_set.items()}


def _more_text(making: _Making, language: str) -> list[list[str]]:
    path = making.of_languages("lm_text").get(language)
    if path is None:
        return []
    lines = read_lines(path, "the text for the language model", "mend corpus.lm_text")
    numbers = numbers_of(making.settings.numbers, making.corpus.languages).get(language)
    if not making.settings.tidy:
        return [words for line in lines if (words := composed(line).split())]
    transcripts = [read_transcript(line, language, numbers) for line in lines]
    if unread := [number for spoken in transcripts for number in spoken.unread]:
        log.warning("%s: %d numbers are unknown words, as %r", path, len(unread), unread[0])
    return [spoken.words for spoken in transcripts if spoken.words]


def _entries(making: _Making, language: str, words: set[str], folder: Path) -> Entries:
    """Return pronunciations of the words of a language; write into `folder` which are guessed."""
    path = making.of_languages("lexicon").get(language)
    if path is None:
        return spelled(words, language)

    def tidy(word: str) -> str:
        return " ".join(read_transcript(word, language).words) if making.settings.tidy else word

    dictionary = read_dictionary(Path(path), tidy)
    if len(making.corpus.languages) > 1:
        dictionary = {
            word: [[_language_phone(phone, language) for phone in phones] for phones in variants]
            for word, variants in dictionary.items()
        }
    entries = looked_up(words, dictionary)
    if making.settings.missing_words == "g2p":
        entries += guessed(words, dictionary, language, folder / "guessed.txt")
    return entries


def _language_phone(phone: str, language: str) -> str:
    """Put the language before the name of a phone; all languages share noises."""
    return phone if phone.lower() in SILENCE_PHONES else f"{language}_{phone}"
