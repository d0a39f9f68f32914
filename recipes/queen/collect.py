"""From the game's file to recordings that can be trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from asr_hf.data.kaldi_dir import Utterance
from asr_hf.runtime.progress import progress
from asr_hf.runtime.skips import SkipList

from ..open_vocabulary import Recorded, doubt_of, seconds_of
from ..table.text import Spoken, read_transcript
from . import dialogue, remarks, scenes
from .container import Container
from .fields import Fields
from .lexicon import LANGUAGE
from .lines import AUDIO, Line, Piece, match

# Stands for the sign of a trade mark.
_TRADE_MARK = "^_"


@dataclass
class Collected:
    """What came out of the game's file.

    Args:
        items: usable recordings.
        dropped: lines and recordings that were left out, with the reasons.
        lines: number of lines that are recorded.
    """

    items: list[Recorded] = field(default_factory=list)
    dropped: dict[str, str] = field(default_factory=dict)
    lines: int = 0


def spoken_lines(container: Container, held_out: frozenset[str]) -> list[Line]:
    """Read all that is said in the game.

    Args:
        container: the game's file.
        held_out: characters that are not trained on.

    Returns:
        The lines of remarks, dialogues and scenes.

    Raises:
        InputError: an entry is missing or damaged.
    """

    def fields(name: str) -> Fields:
        return Fields(f"{container.path}: {name}", container.content(name))

    names = sorted(container.entries)
    said = remarks.read_remarks(fields(remarks.NUMBERS), fields(remarks.TEXTS))
    speakers = scenes.read_speakers(Path(__file__).with_name("scenes.tsv"))
    lines = list(said.lines)
    for name in names:
        if name.endswith(dialogue.SUFFIX):
            lines += dialogue.read_dialogue(name, fields(name))
        elif name.endswith(scenes.SUFFIX):
            lines += [
                scenes.scene_line(step, said.names, speakers, held_out)
                for step in scenes.read_scene(name, fields(name))
            ]
    return lines


def collect(
    container: Container,
    held_out: frozenset[str],
    folder: Path,
    final_name: Callable[[str], str],
    skips: SkipList,
) -> Collected:
    """Match lines with recordings, and write the recordings unaltered.

    Args:
        container: the game's file.
        held_out: characters that are not trained on.
        folder: folder that recordings are written to.
        final_name: function that gives the path of a file once the corpus is in its place.
        skips: list that takes lines whose recordings do not fit them.

    Returns:
        Usable recordings, and what was left out.

    Raises:
        InputError: the file is damaged, or too much had to be skipped.
    """
    matched = match(spoken_lines(container, held_out), container.entries)
    collected = Collected(dropped=matched.dropped, lines=matched.total)
    for key, reason in matched.faults.items():
        skips.add(key, reason)
    folder.mkdir(parents=True)
    for piece in progress(matched.pieces, desc="recordings", unit="piece"):
        spoken = read_transcript(piece.text.replace(_TRADE_MARK, ""), LANGUAGE, LANGUAGE)
        if doubt := doubt_of(spoken):
            collected.dropped[piece.entry] = doubt
            continue
        item = _recorded(container, piece, spoken, folder, final_name)
        if isinstance(item, str):
            skips.add(piece.entry, item)
        else:
            collected.items.append(item)
    skips.check(collected.lines)
    return collected


def _recorded(
    container: Container,
    piece: Piece,
    spoken: Spoken,
    folder: Path,
    final_name: Callable[[str], str],
) -> Recorded | str:
    name = piece.entry.removesuffix(AUDIO)
    wav = folder / f"{name}.mp3"
    wav.write_bytes(container.content(piece.entry))
    seconds = seconds_of(wav, spoken)
    if isinstance(seconds, str):
        wav.unlink()
        return seconds
    utterance = f"{piece.speaker}-{name}"
    return Recorded(
        Utterance(utterance, piece.speaker, utterance, language=LANGUAGE),
        final_name(wav.name),
        spoken,
        seconds,
    )
