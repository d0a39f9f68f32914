"""Make a folder of recordings with a table of their transcripts, as an example.

commonest use: asr-hf example mine
usual time:    5 seconds, and the time of fetching 20 MB

usage: asr-hf example DIR [corpus.languages=[es]] [corpus.source=DIR] [paths.cache=DIR]

The recordings are the Spanish voice prompts of the Asterisk project, or those in another language
of +recipe=prompts. They come from this machine or are fetched, as prepare +recipe=prompts does it.
The folder gets wavs/*.wav (8000 Hz), and table.tsv with the columns audio, text and speaker. The
transcripts stay as they were published.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from asr_hf.cli.compose import load_config
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_text
from asr_hf.runtime.resources import load_recipe


def run(arguments: list[str]) -> None:
    """Write the folder.

    Raises:
        InputError: no folder is named, or the recordings cannot be had.
    """
    folders = [a for a in arguments if "=" not in a]
    if len(folders) != 1:
        raise InputError(f"asr-hf example: {len(folders)} folders", expected="asr-hf example DIR")
    overrides = [a for a in arguments if "=" in a]
    config = load_config(["+recipe=prompts", "corpus.languages=[es]", *overrides])
    languages = list(config.corpus.languages)
    if len(languages) != 1:
        raise InputError(f"corpus.languages: {languages}", expected="one language")
    folder = Path(folders[0])
    count = _write(folder, languages[0], config.corpus.source, Path(config.paths.cache))
    print(f"{folder / 'table.tsv'}: {count} recordings")


def _write(folder: Path, language: str, source: str | None, cache: Path) -> int:
    """Copy the recordings and write their table; return how many there are."""
    prompts = load_recipe("prompts")
    recordings = prompts.find_recordings(language, source, cache)
    wavs = folder / "wavs"
    wavs.mkdir(parents=True, exist_ok=True)
    rows = ["audio\ttext\tspeaker"]
    for name, text in sorted(prompts.parse_transcripts(recordings.transcripts).items()):
        recording = recordings.folder / f"{name}.wav"
        if not recording.is_file() or not text.strip():
            continue
        target = wavs / f"{name.replace('/', '_')}.wav"
        shutil.copyfile(recording, target)
        rows.append(f"wavs/{target.name}\t{' '.join(text.split())}\t{recordings.speaker}")
    write_text(folder / "table.tsv", "\n".join(rows) + "\n")
    return len(rows) - 1
