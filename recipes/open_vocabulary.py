"""Corpora whose held-out sets have words that the training text lacks: their files and figures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from asr_hf.data.audio_check import measure
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.hmm.graph.ngram import estimate_ngram
from asr_hf.runtime.files import write_text
from asr_hf.runtime.provenance import Source
from asr_hf.stages.sources.corpus import rules_source

from .table.lexicon import Entries
from .table.text import Spoken

# Seconds a letter that speech with few pauses stays within.
_FASTEST, _SLOWEST = 0.035, 1.5
_TITLES = ("utterances", "speakers", "minutes", "words", "vocabulary", "oov_words", "oov_percent")


@dataclass(frozen=True)
class Recorded:
    """One usable recording.

    Args:
        utterance: entry of the data directory, without text.
        wav: the audio file.
        spoken: words and marks of the transcript.
        seconds: length of the audio.
    """

    utterance: Utterance
    wav: str
    spoken: Spoken
    seconds: float


def seconds_of(wav: Path, spoken: Spoken) -> float | str:
    """Return the length of a recording (seconds), or why it cannot be that of its words."""
    size = measure(str(wav))
    if isinstance(size, str):
        return size
    if not _FASTEST <= size.seconds / len("".join(spoken.words)) <= _SLOWEST:
        return "duration does not fit the transcript"
    return size.seconds


def rules_of(folder: Path, suffixes: Sequence[str] = (".py",)) -> Source:
    """Return the rules that a recipe makes its corpus by: its own files, and this module.

    Args:
        folder: folder of the recipe.
        suffixes: suffixes of the files that are rules.
    """
    files = [path for path in sorted(folder.iterdir()) if path.suffix in suffixes]
    return rules_source([*files, Path(__file__)])


def doubt_of(spoken: Spoken) -> str:
    """Return why a transcript cannot be used; empty for most."""
    if not spoken.words:
        return "no words"
    return "a number that can be read in several ways" if spoken.unread else ""


def write_sets(part: Path, sets: Mapping[str, Sequence[Recorded]], train_set: str) -> None:
    """Write the data directories; noises that the text marks are trained on, and not scored."""
    for name, members in sets.items():
        wavs = {item.utterance.recording: item.wav for item in members}
        utterances = [
            replace(
                item.utterance,
                text=" ".join(item.spoken.sounds if name == train_set else item.spoken.words),
            )
            for item in members
        ]
        DataDir(part / name, utterances, wavs).write()


def write_language(
    folder: Path, entries: Entries, trained: Iterable[Recorded], order: int
) -> set[str]:
    """Write a language's lexicon, its language model, and the training text this is made of.

    Args:
        folder: folder of the language.
        entries: pronunciations, `<unk>` among them.
        trained: the training recordings of the language.
        order: order of the language model.

    Returns:
        The words of the language model: those of the training text that have a pronunciation.
    """
    sentences = [item.spoken.words for item in trained]
    lexicon = "".join(f"{word} {' '.join(phones)}\n" for word, phones in entries)
    write_text(folder / "lexicon.txt", lexicon)
    write_text(folder / "lm_text", "".join(" ".join(words) + "\n" for words in sentences))
    written = {word for words in sentences for word in words}
    vocabulary = written & {word for word, _ in entries}
    write_text(folder / "lm.arpa", estimate_ngram(sentences, vocabulary, order))
    return vocabulary


def figures(
    sets: Mapping[str, Sequence[Recorded]], vocabulary: set[str], dropped: Mapping[str, str]
) -> dict[str, Any]:
    """Count what corpus.json says of a language.

    Args:
        sets: recordings of the language by set.
        vocabulary: words of its language model.
        dropped: recordings and texts that were left out, with the reasons.

    Returns:
        Figures by set, counts of reasons, and what was left out.
    """
    return {
        "sets": {name: _set_figures(members, vocabulary) for name, members in sets.items()},
        "dropped": dict(sorted(Counter(dropped.values()).items())),
        "dropped_lines": dict(dropped),
    }


def _set_figures(items: Sequence[Recorded], vocabulary: set[str]) -> dict[str, Any]:
    words = [word for item in items for word in item.spoken.words]
    unknown = sum(word not in vocabulary for word in words)
    return {
        "utterances": len(items),
        "speakers": len({item.utterance.speaker for item in items}),
        "minutes": round(sum(item.seconds for item in items) / 60, 1),
        "words": len(words),
        "vocabulary": len(set(words)),
        "oov_words": unknown,
        "oov_percent": round(100 * unknown / max(1, len(words)), 1),
    }


def table(summary: Mapping[str, Any]) -> str:
    """Format the figures of all languages as a Markdown table, and what was left out of each."""
    titles = " | ".join(title.replace("_percent", " %").replace("_", " ") for title in _TITLES)
    lines = [f"| language | set | {titles} |".replace("oov", "OOV")]
    lines.append("|---" * (2 + len(_TITLES)) + "|")
    for language, about in summary.items():
        for name, row in about["sets"].items():
            cells = " | ".join(str(row[title]) for title in _TITLES)
            lines.append(f"| {language} | {name} | {cells} |")
    for language, about in summary.items():
        reasons = ", ".join(f"{count} {why}" for why, count in about["dropped"].items())
        lines.append(f"\n{language}: left out {reasons or 'nothing'}")
    return "\n".join(lines)
