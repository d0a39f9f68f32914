"""Voice prompts of the Asterisk project as a corpus: real 8 kHz speech with transcripts."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import soundfile
from omegaconf import DictConfig

from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.hmm.ngram import estimate_ngram
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json, write_json, write_text
from asr_hf.runtime.progress import progress

from .fetch import Recordings, find_recordings, manifest_hash, manifest_of
from .lexicon import lexicon
from .split import split
from .text import Dropped, normalise, parse_transcripts

log = logging.getLogger(__name__)

_FOLDER = Path(__file__).parent
# Seconds a letter of text that real reading stays within.
_FASTEST, _SLOWEST = 0.035, 1.5
_TEST_WORDS, _DEV_WORDS = 375, 375


@dataclass
class _Language:
    """The usable prompts of one language."""

    recordings: Recordings
    words: dict[str, list[str]] = field(default_factory=dict)
    wavs: dict[str, Path] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)


def prepare(config: DictConfig) -> dict[str, Any]:
    """Write data directories, lexicons and language models into `config.corpus.dir`.

    Nothing to do when they are there already, made from the same recordings by the same rules.

    Returns:
        What corpus.json holds.

    Raises:
        InputError: recordings cannot be had, or words have no pronunciation.
    """
    target = Path(config.corpus.dir)
    cache = Path(config.paths.cache)
    languages = [
        _Language(find_recordings(name, config.corpus.source, cache))
        for name in config.corpus.languages
    ]
    origin = _fingerprint(config, languages)
    if (target / "corpus.json").exists() and read_json(target / "corpus.json")["origin"] == origin:
        log.info("%s: the corpus is there already", target)
        return dict(read_json(target / "corpus.json"))
    part = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        summary = {ln.recordings.language: _language(part, ln, config.lm.order) for ln in languages}
        _write_sets(part, languages, summary)
        about = {
            "name": config.corpus.name,
            "languages": list(config.corpus.languages),
            "sample_rate": 8000,
            "origin": origin,
            "summary": summary,
        }
        write_json(part / "corpus.json", about)
        shutil.rmtree(target, ignore_errors=True)
        os.replace(part, target)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    log.info("%s", table(summary))
    return about


def _fingerprint(config: DictConfig, languages: list[_Language]) -> str:
    """A hash of the recordings, their place, and every rule file of the recipe."""
    digest = hashlib.sha256(json.dumps([_TEST_WORDS, _DEV_WORDS, config.lm.order]).encode())
    for path in sorted(_FOLDER.rglob("*")):
        if path.suffix in (".py", ".tsv", ".txt"):
            digest.update(path.read_bytes())
    for language in languages:
        folder = language.recordings.folder
        digest.update(f"{folder} {manifest_hash(manifest_of(folder))}".encode())
    return digest.hexdigest()


def _language(part: Path, language: _Language, order: int) -> dict[str, Any]:
    """Read, normalise and split one language; write its lexicon and language model."""
    name = language.recordings.language
    _collect(language)
    sets = split(language.words, _TEST_WORDS, _DEV_WORDS)
    folder = part / "lang" / name
    entries = lexicon(name, {w for words in language.words.values() for w in words})
    lines = "".join(f"{word} {' '.join(phones)}\n" for word, phones in entries)
    write_text(folder / "lexicon.txt", lines)
    sentences = [language.words[u] for u in sets["train"]]
    write_text(folder / "lm_text", "".join(" ".join(words) + "\n" for words in sentences))
    vocabulary = {word for word, _ in entries}
    write_text(folder / "lm.arpa", estimate_ngram(sentences, vocabulary, order))
    return {
        "origin": language.recordings.origin,
        "sets": {
            set_name: {
                "utterances": len(utterances),
                "minutes": round(sum(language.seconds[u] for u in utterances) / 60, 2),
                "words": sum(len(language.words[u]) for u in utterances),
                "vocabulary": len({w for u in utterances for w in language.words[u]}),
                "ids": utterances,
            }
            for set_name, utterances in sets.items()
        },
        "dropped": dict(Counter(language.dropped.values())),
        "dropped_prompts": language.dropped,
    }


def _collect(language: _Language) -> None:
    """Match transcripts with recordings and keep what can be used."""
    recordings = language.recordings
    corrections = read_corrections(recordings.language)
    transcripts = parse_transcripts(recordings.transcripts)
    wavs = {
        str(p.relative_to(recordings.folder).with_suffix("")).lower(): p
        for p in recordings.folder.glob("**/*.wav")
    }
    listed = {name.lower(): (name, text) for name, text in transcripts.items()}
    for name in sorted(wavs.keys() - listed.keys()):
        language.dropped[name] = "recording without transcript"
    for name in progress(sorted(listed), desc=f"prompts {recordings.language}", unit="prompt"):
        if name not in wavs:
            language.dropped[name] = "transcript without recording"
            continue
        words = normalise(*listed[name], recordings.language, corrections)
        if isinstance(words, Dropped):
            language.dropped[name] = words.reason
            continue
        seconds = soundfile.info(wavs[name]).duration
        if not _FASTEST <= seconds / len("".join(words)) <= _SLOWEST:
            language.dropped[name] = "duration does not fit the transcript"
            continue
        utterance = f"{recordings.folder.name.lower()}-{name.replace('/', '_')}"
        language.words[utterance], language.wavs[utterance] = words, wavs[name]
        language.seconds[utterance] = seconds


def read_corrections(language: str) -> dict[str, str]:
    """The table of a language's typos: word or =prompt, tab, what is right."""
    lines = (_FOLDER / "corrections" / f"{language}.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.partition("\t") for line in lines if line and not line.startswith("#")]
    if bad := [left for left, tab, _ in rows if not tab]:
        raise InputError(f"corrections/{language}.tsv: no tab after {bad[0]!r}")
    return {left: right.strip() for left, _, right in rows}


def _write_sets(part: Path, languages: list[_Language], summary: dict[str, Any]) -> None:
    """Write the pooled data directories; each language has one reader."""
    for name in ("train", "dev", "test"):
        utterances, wavs = [], {}
        for language in languages:
            code = language.recordings.language
            speaker = language.recordings.folder.name.lower()
            for u in summary[code]["sets"][name].pop("ids"):
                text = " ".join(language.words[u])
                utterances.append(Utterance(u, speaker, u, text=text, language=code))
                wavs[u] = str(language.wavs[u])
        DataDir(part / name, utterances, wavs).write()


def table(summary: dict[str, Any]) -> str:
    """The summary as a Markdown table."""
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
