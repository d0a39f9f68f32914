"""Reads and writes Kaldi data directories: wav.scp, segments, text, utt2spk and so on."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from asr_hf.data.alteration import Alteration
from asr_hf.data.fields import (
    BLANK,
    existing_file,
    expected_of,
    parse_channel,
    parse_segment,
    read_lines,
    words_of,
)
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_text


@dataclass(frozen=True)
class Utterance:
    """One utterance of a data directory.

    Args:
        id: name of the utterance, unique in the directory.
        speaker: name of the speaker.
        recording: key of wav.scp.
        channel: number of the recording's channel, from 0.
        start: begin of the utterance in the recording (seconds); None for the whole recording.
        end: end of the utterance in the recording (seconds); None for the end of the recording.
        text: transcript, with words separated by blanks; None if there is none.
        language: language in utt2lang; None if there is none.
        alteration: what is done to the audio; None for nothing. No file says it.
    """

    id: str
    speaker: str
    recording: str
    channel: int = 0
    start: float | None = None
    end: float | None = None
    text: str | None = None
    language: str | None = None
    alteration: Alteration | None = None

    @property
    def is_copy(self) -> bool:
        """Whether the utterance is an altered copy beside the recorded one."""
        return self.alteration is not None and self.alteration.of != self.id


@dataclass(frozen=True)
class DataDir:
    """A data directory in memory.

    Args:
        path: folder of the directory.
        utterances: utterances, sorted by id.
        wavs: audio file of each recording (or a command that ends in "|").
    """

    path: Path
    utterances: list[Utterance]
    wavs: dict[str, str]

    @classmethod
    def read(cls, path: Path | str) -> DataDir:
        """Read a data directory.

        Args:
            path: folder of the directory.

        Returns:
            The directory.

        Raises:
            InputError: a file is missing, a line is malformed, or an utterance is incomplete;
                `asr-hf validate` lists every offender.
        """
        path = Path(path)
        wavs = {key: existing_wav(wav) for key, wav in read_table(path / "wav.scp").items()}
        speakers = _read_fields(path / "utt2spk")
        texts = read_table(path / "text", optional=True, empty_values=True)
        languages = _read_fields(path / "utt2lang", optional=True)
        segments = _read_segments(path / "segments")
        for file, table in (("text", texts), ("utt2lang", languages), ("segments", segments or {})):
            for name in sorted(table.keys() - speakers.keys())[:1]:
                raise InputError(
                    f"{path}/{file}: utterance {name} has no speaker in utt2spk", remedy=_VALIDATE
                )
        channels = _read_channels(path / "reco2file_and_channel")
        utterances = []
        for name in sorted(speakers, key=_c_locale):
            recording: str = name
            start: float | None = None
            end: float | None = None
            if segments is not None:
                if name not in segments:
                    raise InputError(
                        f"{path}/segments: utterance {name} of utt2spk is missing", remedy=_VALIDATE
                    )
                recording, start, end = segments[name]
            if recording not in wavs:
                raise InputError(
                    f"{path}/wav.scp: recording {recording} of utterance {name} is missing",
                    remedy=_VALIDATE,
                )
            utterances.append(
                Utterance(
                    name,
                    speakers[name],
                    recording,
                    channels.get(recording, 0),
                    start,
                    end,
                    texts.get(name),
                    languages.get(name),
                )
            )
        return cls(path, utterances, wavs)

    def write(self, path: Path | str | None = None) -> None:
        """Write the directory's files, sorted as in the C locale and with absolute audio paths.

        A file that would be empty (no segments, no transcripts ...) is removed.

        Args:
            path: folder of the files; None for the folder of the directory.

        Raises:
            InputError: Kaldi's files cannot hold a name or a transcript.
            RunError: the folder cannot be written to.
        """
        path = Path(path or self.path)
        ordered = sorted(self.utterances, key=lambda u: _c_locale(u.id))
        used = {u.recording for u in ordered}
        wavs = {r: _absolute(w) for r, w in self.wavs.items() if r in used}
        speakers: dict[str, list[str]] = {}
        for u in ordered:
            speakers.setdefault(u.speaker, []).append(u.id)
        write_table(path / "wav.scp", wavs.items())
        write_table(path / "utt2spk", ((u.id, u.speaker) for u in ordered))
        write_table(path / "spk2utt", ((s, " ".join(us)) for s, us in speakers.items()))
        optional = {
            "text": [(u.id, u.text) for u in ordered if u.text is not None],
            "utt2lang": [(u.id, u.language) for u in ordered if u.language is not None],
            "segments": _segment_rows(ordered),
            "reco2file_and_channel": _channel_rows(ordered),
        }
        for name, rows in optional.items():
            if rows:
                write_table(path / name, rows)
            else:
                (path / name).unlink(missing_ok=True)

    def by_speaker(self) -> dict[str, list[Utterance]]:
        """Return the utterances of each speaker, in their order."""
        groups: dict[str, list[Utterance]] = {}
        for utterance in self.utterances:
            groups.setdefault(utterance.speaker, []).append(utterance)
        return groups


_VALIDATE = "run asr-hf validate on the directory for a list of every offender"


def table_lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield the line number, the key and the rest of each line of a Kaldi text table.

    Raises:
        InputError: the file cannot be read, or is not UTF-8.
    """
    for number, line in enumerate(read_lines(path, "the table"), start=1):
        key, *rest = words_of(line, 1) or [""]
        yield number, key, rest[0] if rest else ""


def read_table(path: Path, optional: bool = False, empty_values: bool = False) -> dict[str, str]:
    """Read a Kaldi text table.

    Args:
        path: the file.
        optional: whether the file may be missing.
        empty_values: whether values may be empty.

    Returns:
        The value of each key, in the order of the file.

    Raises:
        InputError: a key is missing or there twice, a value is missing, or the file cannot be read.
    """
    if optional and not path.exists():
        return {}
    table: dict[str, str] = {}
    for number, key, rest in table_lines(path):
        if not key or key in table or not (rest or empty_values):
            fault = "an empty line" if not key else "a key twice" if key in table else "no value"
            raise InputError(f"{path}:{number}: {key}: {fault}", remedy=_VALIDATE)
        table[key] = rest
    return table


def write_table(path: Path, items: Iterable[tuple[str, str]]) -> None:
    """Write a Kaldi text table, sorted as in the C locale.

    Args:
        path: the file.
        items: keys and values.

    Raises:
        InputError: a key has a blank, or a value a line feed.
    """
    lines = []
    for key, value in items:
        if not key or re.search(r"[ \t\r\n]", key) or "\n" in value:
            raise InputError(
                f"{path}: cannot hold {key!r} with {value[:80]!r}",
                expected="a key without blanks, a value of one line",
                remedy="rename the utterance, recording or speaker",
            )
        lines.append(f"{key} {value}".rstrip(BLANK))
    write_text(path, "".join(f"{line}\n" for line in sorted(lines, key=_c_locale)))


def _read_fields(path: Path, optional: bool = False) -> dict[str, str]:
    """Read a table and check the form of its values."""
    table = read_table(path, optional)
    noun = "recording" if path.name == "reco2file_and_channel" else "utterance"
    for key, value in table.items():
        if expected := expected_of(path.name, value):
            raise InputError(
                f"{path}: {noun} {key}: {value!r}", expected=expected, remedy=_VALIDATE
            )
    return table


def _read_segments(path: Path) -> dict[str, tuple[str, float, float | None]] | None:
    if not path.exists():
        return None
    table = _read_fields(path)
    return {key: segment for key, line in table.items() if (segment := parse_segment(line))}


def _segment_rows(utterances: list[Utterance]) -> list[tuple[str, str]]:
    """Return the lines of segments; none if every utterance is a whole recording of its name."""
    if all(u.start is None and u.end is None and u.recording == u.id for u in utterances):
        return []
    # Ten digits keep microseconds in recordings of an hour.
    return [
        (u.id, f"{u.recording} {u.start or 0.0:.10g} {-1 if u.end is None else u.end:.10g}")
        for u in utterances
    ]


def _channel_rows(utterances: list[Utterance]) -> list[tuple[str, str]]:
    channels: dict[str, int] = {}
    for u in utterances:
        if channels.setdefault(u.recording, u.channel) != u.channel:
            raise InputError(
                f"utterance {u.id}: channel {u.channel + 1} of recording {u.recording}, "
                "other utterances have another channel",
                expected="a recording for each channel, as in Kaldi",
                remedy=f"name them {u.recording}-A and {u.recording}-B in wav.scp",
            )
    if not any(channels.values()):
        return []
    return [(r, f"{r} {'AB'[c] if c < 2 else c + 1}") for r, c in channels.items()]


def _read_channels(path: Path) -> dict[str, int]:
    table = _read_fields(path, optional=True)
    return {key: channel for key, v in table.items() if (channel := parse_channel(v)) is not None}


def existing_wav(wav: str) -> str:
    """Return an entry of wav.scp, with the file's path in the Unicode form that the disk has."""
    return wav if wav.endswith("|") else existing_file(wav)


def _absolute(wav: str) -> str:
    return wav if wav.endswith("|") else os.path.abspath(wav)


def _c_locale(text: str) -> bytes:
    return text.encode()
