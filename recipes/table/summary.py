"""Summarises the prepared corpus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .collect import Item


def count_set(items: Sequence[Item], vocabulary: set[str]) -> dict[str, Any]:
    """Count utterances, speakers, minutes and words of a set, and words outside a vocabulary."""
    words = [word for item in items for word in item.words]
    return {
        "utterances": len(items),
        "speakers": len({item.utterance.speaker for item in items}),
        "minutes": round(sum(item.seconds for item in items) / 60, 2),
        "words": len(words),
        "unknown_words": sum(word not in vocabulary for word in words),
    }


def summary_table(summary: dict[str, Any]) -> str:
    """Write the summary as a Markdown table."""
    titles = ("utterances", "speakers", "minutes", "words", "unknown_words")
    lines = [f"| language | set | {' | '.join(t.replace('_', ' ') for t in titles)} |"]
    lines.append("|---" * (2 + len(titles)) + "|")
    for language, sets in summary.items():
        for name, row in sets.items():
            cells = " | ".join(str(row[title]) for title in titles)
            lines.append(f"| {language} | {name} | {cells} |")
    return "\n".join(lines)
