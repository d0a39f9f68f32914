"""Files as programs write them hold the samples that ffmpeg and sox find; the rest is named."""

from __future__ import annotations

import csv
import logging
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from asr_hf.data.audio import load_audio, open_recording
from asr_hf.data.audio_check import AudioSize, measure
from asr_hf.runtime.errors import InputError

FOLDER = Path(__file__).parent / "audio"
MPEG = ("noxing-11025.mp3", "noxing-loudfirst.mp3", "lame-16000.mp3", "layer2.mp2")


@dataclass(frozen=True)
class Known:
    """A file's length by its oracle."""

    file: str
    rate: int
    channels: int
    samples: int


def known() -> list[Known]:
    """What counts.tsv says; README.md beside it tells whom to believe."""
    found = []
    with open(FOLDER / "counts.tsv", newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            name, rate = row["file"], int(row["rate"])
            samples = int(row["ffmpeg"])
            if name in ("vorbis.ogg", "pipe.ogg"):
                samples = int(row["sox"])
            if name == "opus.opus":
                rate, samples = 16000, samples // 3
            found.append(Known(name, rate, int(row["channels"]), samples))
    return found


@pytest.mark.parametrize("one", known(), ids=lambda one: one.file)
def test_lengths_are_those_of_ffmpeg_and_sox(one, tmp_path):
    path = FOLDER / one.file
    assert measure(str(path)) == AudioSize(one.samples / one.rate, one.channels, one.rate)
    whole = load_audio(path, one.rate)
    assert len(whole) == one.samples
    assert whole.abs().max() > 300
    piped = open_recording(f"cat {path} |", allow_pipes=True)
    np.testing.assert_array_equal(piped.read(one.rate).numpy(), whole.numpy())


@pytest.mark.parametrize("one", known(), ids=lambda one: one.file)
def test_segments_are_parts_of_the_whole(one):
    path = FOLDER / one.file
    whole = load_audio(path, one.rate).numpy()
    for first in (0, one.samples // 3, one.samples - 500):
        start, end = first / one.rate, (first + 500) / one.rate
        found = load_audio(path, one.rate, start=start, end=end).numpy()
        # Decoders of MPEG, Vorbis and Opus begin anew at each place.
        lossy = one.file.startswith("mp3") or one.file.endswith(("mp3", "mp2", "ogg", "opus"))
        tolerance = 2 if lossy else 0
        np.testing.assert_allclose(found, whole[first : first + 500], atol=tolerance)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("refused.m4a", "M4A"),
        ("refused.aac", "AAC"),
        ("refused.webm", "WebM"),
        ("refused.wma", "Windows Media Audio"),
        ("refused.ogg", "Speex"),
        ("refused-g723.wav", "G.723.1"),
    ],
)
def test_other_formats_are_refused_by_name(file, name):
    check = str(measure(str(FOLDER / file)))
    with pytest.raises(InputError) as caught:
        open_recording(FOLDER / file)
    for said in (check, str(caught.value)):
        assert name in said and "ffmpeg -i" in said
        assert "truncated" not in said and "damaged" not in said
    assert "FLAC" in caught.value.expected


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<!DOCTYPE html>\n<html>404</html>", "a page of HTML"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "git lfs pull"),
        (b"\x1f\x8b\x08\0\0\0\0\0", "a gzip file"),
        (b"#!AMR\n<\x91\x17\x16", "AMR"),
    ],
)
def test_files_that_are_no_audio_are_named(tmp_path, content, said):
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    assert said in str(measure(str(path)))
    with pytest.raises(InputError, match=said.split()[0]):
        open_recording(path)


def id3(size: int) -> bytes:
    """A tag of ID3v2 with a picture, whose bytes look like frames here and there."""
    sizes = bytes(size - 10 >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\x04\0\0" + sizes + (b"\xff\xfb\x90\x64" * size)[: size - 10]


def ape(size: int) -> bytes:
    """A tag of APE without a header."""
    footer = b"APETAGEX" + b"".join(n.to_bytes(4, "little") for n in (2000, size, 1, 0, 0, 0))
    return bytes(size - 32) + footer


SURROUNDINGS = {
    "id3v2": (id3(300_000), b""),
    "two-id3v2": (id3(50) + id3(5000), b""),
    "id3v1": (b"", b"TAG" + b"x" * 125),
    "ape": (b"", ape(900)),
    "ape-and-id3v1": (b"", ape(64) + b"TAG" + bytes(125)),
    "zeros-behind": (b"", bytes(3000)),
    "zeros-before": (bytes(700), b""),
}


@pytest.mark.parametrize("name", SURROUNDINGS)
@pytest.mark.parametrize("file", MPEG)
def test_tags_around_mpeg_hold_no_samples(tmp_path, file, name):
    before, behind = SURROUNDINGS[name]
    path = tmp_path / "a"
    path.write_bytes(before + (FOLDER / file).read_bytes() + behind)
    whole = measure(str(FOLDER / file))
    assert isinstance(whole, AudioSize)
    assert measure(str(path)) == whole
    assert len(load_audio(path, whole.sample_rate)) == round(whole.seconds * whole.sample_rate)


@pytest.mark.parametrize("file", MPEG)
def test_mpeg_that_ends_within_a_frame_is_truncated(tmp_path, file):
    path = tmp_path / "a"
    raw = (FOLDER / file).read_bytes()
    for length in (len(raw) - 7, len(raw) // 2 + 11):
        path.write_bytes(raw[:length])
        assert "truncated" in str(measure(str(path)))
        for entry in (str(path), f"cat {path} |"):
            with pytest.raises(InputError, match="truncated"):
                open_recording(entry, allow_pipes=True)


def frame_starts(raw: bytes, size: int) -> list[int]:
    """Where the frames of a stream of constant bit rate begin, with or without padding."""
    starts, at = [], 0
    while at < len(raw):
        starts.append(at)
        at += size + (raw[at + 2] >> 1 & 1)
    return starts


def test_damaged_frames_cost_no_others(tmp_path, caplog):
    raw = (FOLDER / "noxing-11025.mp3").read_bytes()
    starts = frame_starts(raw, 104)
    assert starts[-1] < len(raw) and len(starts) == 20
    path = tmp_path / "a.mp3"
    for count, damage in enumerate((b"", bytes(104), b"\xff\xe0" * 5000)):
        path.write_bytes(raw[: starts[9]] + damage + raw[starts[10] :])
        assert len(load_audio(path, 11025)) == 19 * 576
        assert measure(str(path)) == AudioSize(19 * 576 / 11025, 1, 11025)
        assert caplog.text.count("no MPEG frames were passed over") == count


@pytest.mark.parametrize("number", [20, 19, 1, 0])
@pytest.mark.parametrize("mark", [b"Xing", b"Info", b"VBRI"])
def test_a_first_frame_that_counts_the_others_holds_no_samples(tmp_path, mark, number):
    raw = (FOLDER / "noxing-11025.mp3").read_bytes()
    first = bytearray(raw[:4].ljust(104, b"\0"))
    first[2] &= 0xFD  # no padding
    counted = number.to_bytes(4, "big")
    if mark == b"VBRI":
        first[36:54] = mark + bytes(6) + len(raw).to_bytes(4, "big") + counted
    else:
        first[13:25] = mark + (1).to_bytes(4, "big") + counted
    path = tmp_path / "a.mp3"
    path.write_bytes(bytes(first) + raw)
    # ffmpeg 5.1 with the right number, 20: 11520; without LAME's mark nothing is cut off.
    assert measure(str(path)) == AudioSize(11520 / 11025, 1, 11025)
    expected = load_audio(FOLDER / "noxing-11025.mp3", 11025).numpy()
    np.testing.assert_array_equal(load_audio(path, 11025).numpy(), expected)


def test_an_mpeg_header_with_too_few_frames_bounds_nothing(tmp_path):
    raw = (FOLDER / "lame-16000.mp3").read_bytes()
    path = tmp_path / "a.mp3"
    path.write_bytes(raw + raw)
    # ffmpeg 5.1: 30575 samples of both; where the two meet, decoders cut a part of a frame or none.
    assert abs(len(load_audio(path, 16000)) - 30575) < 576


@pytest.mark.parametrize("size", [9999, None])
@pytest.mark.parametrize("declared", [0x7FFFFFFF, 10_000, 60])
def test_an_mpeg_header_with_more_frames_than_there_are_is_not_believed(tmp_path, declared, size):
    raw = bytearray((FOLDER / "lame-16000.mp3").read_bytes())
    at = raw.index(b"Info" if b"Info" in raw[:64] else b"Xing")
    raw[at + 8 : at + 16] = declared.to_bytes(4, "big") + (size or len(raw)).to_bytes(4, "big")
    path = tmp_path / "a.mp3"
    path.write_bytes(raw)
    with pytest.raises(InputError, match=f"truncated: .* of the {declared} frames"):
        open_recording(path)
    # Frames of 100 bytes are possible, and the sizes agree: what a look at the header cannot tell.
    if size is not None or declared != 60:
        assert f"of the {declared} frames" in str(measure(str(path)))


def test_a_change_within_mpeg_is_refused_by_what_changes(tmp_path):
    path = tmp_path / "a.mp3"
    first, second = ((FOLDER / name).read_bytes() for name in (MPEG[0], "noxing-loudfirst.mp3"))
    path.write_bytes(first + second)
    assert "it goes on with 16000 Hz and 1 channels in place of 11025 Hz" in str(measure(str(path)))


@pytest.fixture
def our_log_off():
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("file", MPEG)
def test_libraries_write_nothing_to_the_standard_error(tmp_path, capfd, our_log_off, file):
    raw = bytearray((FOLDER / file).read_bytes())
    for at in range(700, len(raw) - 200, 150):
        raw[at : at + 3] = b"\x55\xaa\x77"
    path = tmp_path / "a"
    path.write_bytes(raw)
    size = measure(str(path))
    assert isinstance(size, AudioSize)
    load_audio(path, size.sample_rate)
    assert capfd.readouterr().err == ""


def test_what_others_write_to_the_standard_error_is_kept(capfd):
    recording = open_recording(FOLDER / "noxing-11025.mp3")
    with recording.file.opened():
        os.write(2, b"from elsewhere\nNote: Illegal Audio-MPEG-Header\n")
    assert capfd.readouterr().err == "from elsewhere\n"


@pytest.mark.parametrize("file", ["vorbis.ogg", "opus.opus"])
def test_ogg_without_an_end_is_truncated(tmp_path, file):
    raw = (FOLDER / file).read_bytes()
    last = raw.rindex(b"OggS")
    path = tmp_path / "a"
    for length in (last, last + 5, last + 40, len(raw) - 1):
        path.write_bytes(raw[:length])
        assert "truncated" in str(measure(str(path)))
        with pytest.raises(InputError, match="truncated"):
            open_recording(f"cat {path} |", allow_pipes=True)
    path.write_bytes(raw + raw)
    assert "several Ogg files in one" in str(measure(str(path)))


@pytest.mark.parametrize("file", ["pipe.flac", "pipe-rewound.flac"])
def test_flac_without_an_end_is_truncated(tmp_path, file):
    raw = (FOLDER / file).read_bytes()
    path = tmp_path / "a.flac"
    for length in (len(raw) - 1, len(raw) - 200, len(raw) - 2000):
        path.write_bytes(raw[:length])
        assert "truncated" in str(measure(str(path)))
        with pytest.raises(InputError, match="truncated"):
            load_audio(path, 8000)


@pytest.mark.parametrize("declared", [0, 1, 3199])
def test_a_number_of_samples_in_flac_bounds_nothing(tmp_path, declared):
    raw = bytearray((FOLDER / "pipe-rewound.flac").read_bytes())
    total = int.from_bytes(raw[21:26], "big")
    assert total & (1 << 36) - 1 == 3200
    raw[21:26] = (total - 3200 + declared).to_bytes(5, "big")
    path = tmp_path / "a.flac"
    path.write_bytes(id3(900) + raw + b"TAG" + bytes(125))
    assert measure(str(path)) == AudioSize(0.4, 1, 8000)
    expected = load_audio(FOLDER / "pipe-rewound.flac", 8000).numpy()
    np.testing.assert_array_equal(load_audio(path, 8000).numpy(), expected)
