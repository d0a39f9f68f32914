"""Recognised words as intervals of Praat's TextGrid."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from asr_hf.runtime.files import write_text
from asr_hf.scoring.ctm import CtmWord
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.recordings import recognised_words


def write(settings: Settings, folder: Path) -> list[Path]:
    """Write <set>/<recording>-<channel>.TextGrid of what was decoded, in Praat's short form.

    Raises:
        InputError: a set was not decoded.
    """
    written = []
    for name in settings.export.sets:
        words = sorted(
            recognised_words(settings, name), key=lambda w: (w.recording, w.channel, w.start)
        )
        for (recording, channel), tier in groupby(words, lambda w: (w.recording, w.channel)):
            written.append(folder / name / f"{recording}-{channel}.TextGrid")
            write_text(written[-1], _grid(list(tier)))
    return written


def _grid(words: list[CtmWord]) -> str:
    """The file's text; what lies between words is an interval without text."""
    rows: list[tuple[float, float, str]] = []
    end = 0.0
    for word in words:
        if word.start > end:
            rows.append((end, word.start, ""))
        end = word.start + word.duration
        rows.append((word.start, end, word.word.replace('"', '""')))
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "0", f"{end:.2f}"]
    lines += ["<exists>", "1", '"IntervalTier"', '"words"', "0", f"{end:.2f}", str(len(rows))]
    lines += [line for a, b, text in rows for line in (f"{a:.2f}", f"{b:.2f}", f'"{text}"')]
    return "\n".join(lines) + "\n"
