"""Voice prompts of the Asterisk project as a corpus: real 8 kHz speech with transcripts."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import soundfile

from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.hmm.graph.ngram import estimate_ngram
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_text
from asr_hf.runtime.progress import progress
from asr_hf.runtime.provenance import Source
from asr_hf.runtime.skips import SkipList
from asr_hf.settings.maker import make
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.corpus import make_corpus, rules_source

from .fetch import Recordings, find_recordings
from .lexicon import lexicon
from .split import split
from .text import Dropped, normalise, parse_transcripts

log = logging.getLogger("asr_hf.recipes.prompts")

_FOLDER = Path(__file__).parent
_SAMPLE_RATE = 8000
# Range of the seconds that a reader takes for a letter of text.
_FASTEST, _SLOWEST = 0.035, 1.5
# Numbers of words in test and dev. Only so many sentences share all their words with others: fewest
# in Russian, which inflects its words most.
_WORDS = {"en": (375, 375), "es": (300, 200), "fr": (300, 200), "it": (250, 150), "ru": (200, 120)}


@dataclass(frozen=True, kw_only=True)
class PromptsSettings:
    """Settings of the recipe itself.

    Attributes:
        source: folder with recordings and transcripts; None looks at the installed system, then
            fetches them.
    """

    source: Path | None


@dataclass
class _Prompt:
    """One usable prompt."""

    words: list[str]
    wav: Path
    seconds: float


@dataclass
class _Language:
    """The prompts of one language.

    Args:
        recordings: recordings and transcripts of the language.
    """

    recordings: Recordings
    prompts: dict[str, _Prompt] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    sets: dict[str, list[str]] = field(default_factory=dict)


def prepare(settings: Settings) -> dict[str, Any]:
    """Write data directories, lexicons and language models into `corpus.dir`.

    Nothing to do when they are there already, made from the same recordings by the same rules.

    Returns:
        What corpus.json holds.

    Raises:
        InputError: recordings cannot be had or used, words have no pronunciation, or the folder
            holds something else.
    """
    corpus, order = settings.corpus, settings.lm.order
    target = corpus.dir
    source = make(PromptsSettings, corpus.own, "corpus").source
    languages = [
        _Language(find_recordings(name, source, settings.paths.cache)) for name in corpus.languages
    ]
    rules = [p for p in sorted(_FOLDER.rglob("*")) if p.suffix in (".py", ".tsv", ".txt")]
    recordings = [[str(ln.recordings.folder), ln.recordings.digest] for ln in languages]
    sources = {
        "rules of the recipe": rules_source(rules),
        "recordings": Source.of_values(recordings),
    }

    def write(part: Path) -> dict[str, Any]:
        for language in languages:
            _collect(language)
            _write_language(part / "lang" / language.recordings.language, language, order)
        _write_sets(part, languages)
        summary = {ln.recordings.language: _summary(ln) for ln in languages}
        log.info("%s:\n%s", target, table(summary))
        return {
            "name": corpus.name,
            "languages": list(corpus.languages),
            "sample_rate": _SAMPLE_RATE,
            "summary": summary,
        }

    return make_corpus(target, {"lm.order": order}, sources, write)


def _collect(language: _Language) -> None:
    """Match transcripts with recordings, keep what can be used, and split it.

    Raises:
        InputError: too many recordings are missing or unusable.
    """
    recordings = language.recordings
    corrections = read_corrections(recordings.language)
    listed = {
        name.lower(): (name, text)
        for name, text in parse_transcripts(recordings.transcripts).items()
    }
    wavs = {
        str(p.relative_to(recordings.folder).with_suffix("")).lower(): p
        for p in recordings.folder.glob("**/*.wav")
    }
    unlisted = dict.fromkeys(sorted(wavs.keys() - listed.keys()), "recording without transcript")
    language.dropped |= unlisted
    faulty = SkipList(f"prompts {recordings.language}")
    for name in progress(sorted(listed), desc=f"prompts {recordings.language}", unit="prompt"):
        words = normalise(*listed[name], recordings.language, corrections)
        if isinstance(words, Dropped):
            language.dropped[name] = words.reason
            continue
        prompt = _prompt(words, wavs.get(name))
        if isinstance(prompt, Dropped):
            faulty.add(name, prompt.reason)
            continue
        language.prompts[f"{recordings.speaker}-{name.replace('/', '_')}"] = prompt
    faulty.check(len(listed))
    language.dropped |= faulty.reasons
    sentences = {u: prompt.words for u, prompt in language.prompts.items()}
    language.sets = split(sentences, *_WORDS[recordings.language])


def _prompt(words: list[str], wav: Path | None) -> _Prompt | Dropped:
    """Make a prompt, or say why its recording cannot be of its words."""
    if wav is None:
        return Dropped("transcript without recording")
    try:
        audio = soundfile.info(wav)
    except soundfile.LibsndfileError:
        return Dropped("recording cannot be read")
    if audio.samplerate != _SAMPLE_RATE:
        return Dropped(f"sample rate {audio.samplerate}, not {_SAMPLE_RATE}")
    if not _FASTEST <= audio.duration / len("".join(words)) <= _SLOWEST:
        return Dropped("duration does not fit the transcript")
    return _Prompt(words, wav, audio.duration)


def _write_language(folder: Path, language: _Language, order: int) -> None:
    """Write a language's lexicon and language model, and the text that the model is made from."""
    prompts = language.prompts
    entries = lexicon(
        language.recordings.language, {w for prompt in prompts.values() for w in prompt.words}
    )
    lines = "".join(f"{word} {' '.join(phones)}\n" for word, phones in entries)
    write_text(folder / "lexicon.txt", lines)
    sentences = [prompts[u].words for u in language.sets["train"]]
    write_text(folder / "lm_text", "".join(" ".join(words) + "\n" for words in sentences))
    vocabulary = {word for word, _ in entries}
    write_text(folder / "lm.arpa", estimate_ngram(sentences, vocabulary, order))


def _summary(language: _Language) -> dict[str, Any]:
    """Summarise a language for corpus.json."""
    sets = {}
    for name, utterances in language.sets.items():
        prompts = [language.prompts[u] for u in utterances]
        words = [word for prompt in prompts for word in prompt.words]
        sets[name] = {
            "utterances": len(prompts),
            "minutes": round(sum(prompt.seconds for prompt in prompts) / 60, 2),
            "words": len(words),
            "vocabulary": len(set(words)),
        }
    return {
        "origin": language.recordings.origin,
        "sets": sets,
        "dropped": dict(Counter(language.dropped.values())),
        "dropped_prompts": language.dropped,
    }


def read_corrections(language: str) -> dict[str, str]:
    """Read the table of a language's typos: word or =prompt, tab, correction."""
    lines = (_FOLDER / "corrections" / f"{language}.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.partition("\t") for line in lines if line and not line.startswith("#")]
    if malformed := [word for word, tab, _ in rows if not tab]:
        raise InputError(f"corrections/{language}.tsv: no tab after {malformed[0]!r}")
    return {word: correction.strip() for word, _, correction in rows}


def _write_sets(part: Path, languages: list[_Language]) -> None:
    """Write the pooled data directories; each language has one reader."""
    for name in ("train", "dev", "test"):
        utterances, wavs = [], {}
        for language in languages:
            code, speaker = language.recordings.language, language.recordings.speaker
            for u in language.sets[name]:
                prompt = language.prompts[u]
                text = " ".join(prompt.words)
                utterances.append(Utterance(u, speaker, u, text=text, language=code))
                wavs[u] = str(prompt.wav)
        DataDir(part / name, utterances, wavs).write()


def table(summary: dict[str, Any]) -> str:
    """Write the summary as a Markdown table."""
    lines = [
        "| language | set | utterances | minutes | words | vocabulary |",
        "|---|---|---|---|---|---|",
    ]
    for language, about in summary.items():
        for name, row in about["sets"].items():
            lines.append(
                f"| {language} | {name} | {row['utterances']} | {row['minutes']:.1f} | "
                f"{row['words']} | {row['vocabulary']} |"
            )
    for language, about in summary.items():
        reasons = ", ".join(f"{count} {why}" for why, count in sorted(about["dropped"].items()))
        lines.append(f"\n{language}: dropped {reasons or 'nothing'}")
    return "\n".join(lines)
