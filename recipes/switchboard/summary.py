"""Summarises the prepared corpus beside published figures for the same data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from asr_hf.data.fields import words_of
from asr_hf.data.kaldi_dir import Utterance

from .evaluation import EvaluationSet
from .training import TrainingData
from .transcripts import Transcripts

# Utterances and hours given by the authors of Kaldi's recipe; "train" by its subset.
_PUBLISHED = {
    "all": "about 260,000 utterances, 313.4 h",
    "dev": "4,000 utterances, 5.1 h",
    "train 286h": "286 h",
    "train 110h": "110 h",
    "eval2000": "80 sides, 42,989 words",
    "eval2000 sw_": "40 sides, 21,395 words",
    "eval2000 en_": "40 sides, 21,594 words",
}


def count(utterances: Sequence[Utterance]) -> dict[str, Any]:
    """Count utterances, hours, words and speakers of a set whose segments have times."""
    seconds = sum((u.end or 0.0) - (u.start or 0.0) for u in utterances)
    words = [word for u in utterances for word in words_of(u.text or "")]
    return {
        "utterances": len(utterances),
        "hours": round(seconds / 3600, 3),
        "words": len(words),
        "vocabulary": len(set(words)),
        "sides": len({u.recording for u in utterances}),
        "speakers": len({u.speaker for u in utterances}),
    }


def summarise(
    transcripts: Transcripts,
    data: TrainingData,
    tests: Sequence[EvaluationSet],
    subset: str,
    vocabulary: set[str],
) -> dict[str, Any]:
    """Summarise the corpus for corpus.json.

    Args:
        transcripts: the transcripts that were read.
        data: training data.
        tests: test sets.
        subset: name of the training subset.
        vocabulary: words of the lexicon.

    Returns:
        The summary, plain values.
    """
    sets = {"all": count(data.every), "train": count(data.train), "dev": count(data.dev)}
    for test in tests:
        utterances = test.utterances()
        sets[test.name] = count(utterances) | {"not_scored": test.ignored}
        for prefix in ("sw_", "en_") if test.name == "eval2000" else ():
            part = [u for u in utterances if u.recording.startswith(prefix)]
            sets[f"{test.name} {prefix}"] = count(part)
    spoken = [word for u in data.every for word in words_of(u.text or "")]
    unknown = [word for word in spoken if word not in vocabulary]
    return {
        "subset": subset,
        "sets": sets,
        "segments_read": transcripts.lines,
        "empty_segments": transcripts.empty,
        "dropped_tokens": dict(transcripts.dropped),
        "mapped_tokens": transcripts.mapped,
        "unknown_words": len(unknown),
        "unknown_vocabulary": sorted(set(unknown)),
        "untranscribed_recordings": data.untranscribed,
        "skipped": transcripts.skipped | data.skipped,
    }


def table(summary: dict[str, Any]) -> str:
    """Write the summary as a Markdown table."""
    lines = [
        "| set | utterances | hours | words | vocabulary | sides | speakers | published |",
        "|" + "---|" * 8,
    ]
    for name, row in summary["sets"].items():
        known = _PUBLISHED.get(f"train {summary['subset']}" if name == "train" else name, "")
        lines.append(
            f"| {name} | {row['utterances']:,} | {row['hours']:.2f} | {row['words']:,} | "
            f"{row['vocabulary']:,} | {row['sides']} | {row['speakers']} | {known} |"
        )
    dropped = ", ".join(f"{n:,} {token}" for token, n in sorted(summary["dropped_tokens"].items()))
    lines += [
        "",
        f"segments read: {summary['segments_read']:,}, empty: {summary['empty_segments']:,}",
        f"tokens dropped: {dropped or 'none'}; rewritten: {summary['mapped_tokens']:,}",
        f"words not in the lexicon: {summary['unknown_words']:,} "
        f"({len(summary['unknown_vocabulary']):,} different)",
        f"recordings without transcript: {len(summary['untranscribed_recordings'])}; "
        f"utterances skipped: {len(summary['skipped'])}",
    ]
    return "\n".join(lines)
