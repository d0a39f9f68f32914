"""Make a folder of recordings with a table of their transcripts, as an example for newcomers.

usage: python scripts/make_example_table.py FOLDER [--language es] [--cache .cache]

Takes the Spanish voice prompts of the Asterisk project from this machine or fetches them, as
`asr-hf prepare +recipe=prompts` does. Copies them to FOLDER/wavs/*.wav (8000 Hz), and writes
FOLDER/table.tsv with the columns audio, text and speaker; transcripts stay as published.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from asr_hf.runtime.files import atomic_path
from asr_hf.runtime.resources import load_recipe


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--language", default="es")
    parser.add_argument("--cache", type=Path, default=Path(".cache"))
    options = parser.parse_args()
    prompts = load_recipe("prompts")
    recordings = prompts.find_recordings(options.language, None, options.cache)
    wavs = options.folder / "wavs"
    wavs.mkdir(parents=True, exist_ok=True)
    rows = ["audio\ttext\tspeaker"]
    for name, text in sorted(prompts.parse_transcripts(recordings.transcripts).items()):
        source = recordings.folder / f"{name}.wav"
        if not source.is_file() or not text.strip():
            continue
        target = wavs / f"{name.replace('/', '_')}.wav"
        shutil.copyfile(source, target)
        rows.append(f"wavs/{target.name}\t{' '.join(text.split())}\t{recordings.speaker}")
    with atomic_path(options.folder / "table.tsv") as temporary:
        temporary.write_text("\n".join(rows) + "\n", encoding="utf-8")
    print(f"{options.folder}: {len(rows) - 1} recordings")


if __name__ == "__main__":
    main()
