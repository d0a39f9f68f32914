"""Kaldi data directories: wav.scp, segments, text, utt2spk, spk2utt, utt2lang."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_text


@dataclass(frozen=True)
class Utterance:
    """One utterance of a data directory.

    Args:
        id: its name, unique.
        speaker: who speaks.
        recording: key of wav.scp.
        channel: 0-based channel of the recording.
        start: where it begins in the recording (seconds); None for the whole recording.
        end: where it ends (seconds).
        text: transcript, words separated by blanks; None when there is none.
        language: key of utt2lang, None when there is none.
    """

    id: str
    speaker: str
    recording: str
    channel: int = 0
    start: float | None = None
    end: float | None = None
    text: str | None = None
    language: str | None = None


@dataclass(frozen=True)
class DataDir:
    """A data directory in memory.

    Args:
        path: its folder.
        utterances: sorted by id.
        wavs: recording -> audio file (or a command that ends in "|").
    """

    path: Path
    utterances: list[Utterance]
    wavs: dict[str, str]

    @classmethod
    def read(cls, path: Path | str) -> DataDir:
        """Read a data directory.

        Raises:
            InputError: a file is missing, a line malformed, or an utterance incomplete; run
                `asr-hf validate` for the list of every offender.
        """
        path = Path(path)
        wavs = read_table(path / "wav.scp")
        speakers = read_table(path / "utt2spk")
        texts = read_table(path / "text", optional=True, empty_values=True)
        languages = read_table(path / "utt2lang", optional=True)
        segments = _read_segments(path / "segments")
        channels = _read_channels(path / "reco2file_and_channel")
        utterances = []
        for name in sorted(speakers, key=_c_locale):
            recording, start, end = name, None, None
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
        """Write the directory's files, sorted as in the C locale, audio paths made absolute."""
        path = Path(path or self.path)
        ordered = sorted(self.utterances, key=lambda u: _c_locale(u.id))
        used = {u.recording for u in ordered}
        wavs = {r: _absolute(w) for r, w in self.wavs.items() if r in used}
        write_table(path / "wav.scp", wavs.items())
        write_table(path / "utt2spk", ((u.id, u.speaker) for u in ordered))
        by_speaker: dict[str, list[str]] = {}
        for u in ordered:
            by_speaker.setdefault(u.speaker, []).append(u.id)
        write_table(path / "spk2utt", ((s, " ".join(us)) for s, us in by_speaker.items()))
        if any(u.text is not None for u in ordered):
            write_table(path / "text", ((u.id, u.text) for u in ordered if u.text is not None))
        if any(u.language is not None for u in ordered):
            write_table(path / "utt2lang", ((u.id, u.language) for u in ordered if u.language))
        if any(u.start is not None for u in ordered):
            write_table(
                path / "segments",
                ((u.id, f"{u.recording} {u.start or 0.0:.6g} {u.end:.6g}") for u in ordered),
            )
        if any(u.channel for u in ordered):
            write_table(
                path / "reco2file_and_channel",
                {u.recording: f"{u.recording} {'AB'[u.channel]}" for u in ordered}.items(),
            )

    def by_speaker(self) -> dict[str, list[Utterance]]:
        """Utterances of each speaker."""
        groups: dict[str, list[Utterance]] = {}
        for utterance in self.utterances:
            groups.setdefault(utterance.speaker, []).append(utterance)
        return groups


_VALIDATE = "run asr-hf validate on the directory for a list of every offender"


def table_lines(path: Path) -> Iterator[tuple[int, str, str]]:
    """Yield (line number, key, rest) of a Kaldi text table.

    Raises:
        InputError: the file cannot be read or is not UTF-8.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: not UTF-8 at byte {error.start}", remedy="convert it, e.g. with iconv"
        ) from error
    for number, line in enumerate(lines, start=1):
        key, _, rest = line.strip().partition(" ")
        if "\t" in key:
            key, _, rest = line.strip().partition("\t")
        yield number, key, rest.strip()


def read_table(path: Path, optional: bool = False, empty_values: bool = False) -> dict[str, str]:
    """Read key -> value; a duplicate key or (unless allowed) an empty value is an error."""
    if optional and not path.exists():
        return {}
    table: dict[str, str] = {}
    for number, key, rest in table_lines(path):
        if not key or key in table or not (rest or empty_values):
            found = "an empty line" if not key else "a key twice" if key in table else "no value"
            raise InputError(f"{path}:{number}: {key}: {found}", remedy=_VALIDATE)
        table[key] = rest
    return table


def write_table(path: Path, items: Iterable[tuple[str, str]]) -> None:
    """Write key value lines, sorted as in the C locale."""
    lines = sorted((f"{key} {value}".rstrip() for key, value in items), key=_c_locale)
    write_text(path, "".join(f"{line}\n" for line in lines))


def _read_segments(path: Path) -> dict[str, tuple[str, float, float]] | None:
    if not path.exists():
        return None
    segments = {}
    for key, rest in read_table(path).items():
        try:
            recording, start, end = rest.split()
            segments[key] = (recording, float(start), float(end))
        except ValueError as error:
            raise InputError(
                f"{path}: utterance {key}: {rest!r}", expected="recording start end (seconds)"
            ) from error
    return segments


def _read_channels(path: Path) -> dict[str, int]:
    channels = {}
    for key, rest in read_table(path, optional=True).items():
        name = rest.split()[-1]
        index = {"A": 0, "B": 1, "1": 0, "2": 1}.get(name)
        if index is None:
            raise InputError(f"{path}: recording {key}: channel {name!r}", expected="A or B")
        channels[key] = index
    return channels


def _absolute(wav: str) -> str:
    return wav if wav.endswith("|") else os.path.abspath(wav)


def _c_locale(text: str) -> bytes:
    return text.encode()
