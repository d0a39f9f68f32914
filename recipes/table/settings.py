"""Settings of the recipe itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

# A value for a single language, or a value for each language by its name.
ByLanguage = str | Mapping[str, str] | None


@dataclass(frozen=True, kw_only=True)
class TableSettings:
    """Settings of a corpus made from a table of recordings.

    Attributes:
        audio: folder that paths of audio files are relative to; None takes the folder of the table.
        held_out: share of the audio for each held-out set, where no column names sets.
        sample_rate: sample rate of the corpus (Hz); None takes the one of most recordings.
        tidy: whether words are lower-cased and punctuation is taken off.
        numbers: language that numbers are read in; None leaves them as they are.
        lexicon: file of a dictionary; None spells words by their letters.
        missing_words: what becomes of words that the dictionary lacks: noise or g2p.
        lm_text: file with more text for the language model.
        max_skipped: largest share of lines that may be skipped.
    """

    audio: Path | None
    held_out: float
    sample_rate: int | None
    tidy: bool
    numbers: ByLanguage
    lexicon: ByLanguage
    missing_words: str
    lm_text: ByLanguage
    max_skipped: float
