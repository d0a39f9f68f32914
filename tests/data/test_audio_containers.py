"""What a header declares is a hint: unknown lengths go to the end, too long ones are truncated."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_hf.data.audio import load_audio, open_recording
from asr_hf.data.audio_check import AudioSize, measure
from asr_hf.data.containers.detect import read_container
from asr_hf.runtime.errors import InputError

SAMPLES = (3000 * np.sin(np.arange(4000) / 9)).astype(np.int16)
FORMS = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST")


def written(folder: Path, form: str, samples: np.ndarray = SAMPLES, kind: str = "PCM_16") -> bytes:
    """A file as soundfile writes it."""
    path = folder / "written"
    soundfile.write(path, samples, 8000, format=form, subtype=kind)
    return path.read_bytes()


def patched(raw: bytes, at: int, form: str, value: int) -> bytes:
    """The file with another number at one place."""
    changed = bytearray(raw)
    struct.pack_into(form, changed, at, value)
    return bytes(changed)


def check_whole(path: Path, raw: bytes) -> None:
    """A file, and a command that prints it, hold all samples, bit for bit."""
    path.write_bytes(raw)
    assert measure(str(path)) == AudioSize(0.5, 1, 8000)
    for entry in (str(path), f"cat {path} |"):
        found = open_recording(entry, allow_pipes=True).read(8000).numpy()
        np.testing.assert_array_equal(found, SAMPLES)


def check_refused(path: Path, raw: bytes, said: str = "truncated") -> None:
    """A file, and a command that prints it, are refused with one reason."""
    path.write_bytes(raw)
    assert said in str(measure(str(path)))
    for entry in (str(path), f"cat {path} |"):
        with pytest.raises(InputError, match=said):
            open_recording(entry, allow_pipes=True).read(8000)


UNKNOWN = [
    0,
    2_000_000_000,
    1_000_000_000,
    0x7F000000,
    0x7FFFF000,
    0x7FFFFFFF - 36,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF - 44,
    0xFFFFFFFF,
]


@pytest.mark.parametrize("form", ["WAV", "WAVEX"])
@pytest.mark.parametrize("size", UNKNOWN)
@pytest.mark.parametrize("riff", [None, 0, 4, 0x7FFFFFFF, 0xFFFFFFFF])
def test_wav_of_unknown_length_goes_to_its_end(tmp_path, form, size, riff):
    raw = written(tmp_path, form)
    raw = patched(raw, raw.index(b"data") + 4, "<I", size)
    check_whole(tmp_path / "a", raw if riff is None else patched(raw, 4, "<I", riff))


@pytest.mark.parametrize("riff", [0, 3, 8000, 0x12345678, 0xFFFFFFFF])
def test_the_size_of_riff_does_not_matter(tmp_path, riff):
    check_whole(tmp_path / "a", patched(written(tmp_path, "WAV"), 4, "<I", riff))


@pytest.mark.parametrize("size", [8002, 9000, 100_000, 1_900_000_000, 2_000_000_002])
def test_wav_that_declares_more_than_it_holds_is_truncated(tmp_path, size):
    raw = written(tmp_path, "WAV")
    check_refused(tmp_path / "a", patched(raw, raw.index(b"data") + 4, "<I", size))


@pytest.mark.parametrize("extra", [b"LIST\4\0\0\0INFO", b"LIST\5\0\0\0INFOx\0id3 \2\0\0\0ab"])
@pytest.mark.parametrize("size", [8000, 2_000_000_000])
def test_chunks_behind_the_samples_are_no_samples(tmp_path, extra, size):
    raw = written(tmp_path, "WAV")
    check_whole(tmp_path / "a", raw + extra)
    head = raw[: raw.index(b"data")] + b"data\0\0\0\0"
    check_refused(tmp_path / "a", head + extra, "holds no audio")
    check_refused(tmp_path / "a", head, "holds no audio")


def test_chunks_of_odd_sizes_before_the_samples(tmp_path):
    raw = written(tmp_path, "WAV")
    at = raw.index(b"data")
    raw = raw[:at] + b"note\7\0\0\0abcdefg\0" + raw[at:]
    check_whole(tmp_path / "a", raw)
    check_whole(tmp_path / "a", patched(raw, raw.index(b"data") + 4, "<I", 0))


def test_an_odd_number_of_bytes_is_whole(tmp_path):
    raw = written(tmp_path, "WAV", SAMPLES[:101], "PCM_U8")[: 44 + 101]
    path = tmp_path / "a"
    for size in (101, 0, 0xFFFFFFFF):
        path.write_bytes(patched(raw, 40, "<I", size))
        assert measure(str(path)) == AudioSize(101 / 8000, 1, 8000)
        assert len(load_audio(path, 8000)) == 101
    # A byte of a sample that was not finished.
    path.write_bytes(patched(written(tmp_path, "WAV"), 40, "<I", 0) + b"x")
    assert len(load_audio(path, 8000)) == 4000


def test_bytes_behind_what_is_declared_are_told_of(tmp_path, caplog):
    raw = written(tmp_path, "WAV")
    path = tmp_path / "a"
    path.write_bytes(patched(raw, 40, "<I", 6000))
    # ffmpeg and sox: 3000 samples.
    assert len(load_audio(path, 8000)) == 3000
    assert "2000 bytes behind the audio that its header declares are not read" in caplog.text


def test_wav_of_more_than_4_gb_is_read_to_its_end(tmp_path):
    path = tmp_path / "a"
    raw = written(tmp_path, "WAV")
    size = (5 << 30) + 1000
    for declared in (0xFFFFFFFF, 0, size - (1 << 32)):
        with open(path, "wb") as file:  # of holes
            file.write(patched(raw, 40, "<I", declared)[:44])
            file.truncate(44 + size)
            file.seek(44 + size - 8000)
            file.write(SAMPLES.tobytes())
        assert measure(str(path)) == AudioSize(size / 2 / 8000, 1, 8000)
        found = load_audio(path, 8000, start=size / 2 / 8000 - 0.5).numpy()
        np.testing.assert_array_equal(found, SAMPLES)


def sizes_of(raw: bytes, form: str) -> list[tuple[int, str, tuple[int, ...]]]:
    """Where a container keeps the size of its samples, and what a writer into a pipe puts there."""
    if form == "RF64":
        return [(raw.index(b"ds64") + 16, "<Q", (0, 0xFFFFFFFF, (1 << 64) - 1))]
    if form == "W64":
        at = raw.index(b"data\xf3\xac\xd3\x11") + 16
        return [(at, "<Q", (0, 24, (1 << 63) - 1, (1 << 64) - 1))]
    if form == "AIFF":
        return [(raw.index(b"SSND") + 4, ">I", (0, 8, 0x7F000008, 0x80000000, 0xFFFFFFFF))]
    if form == "AU":
        return [(8, ">I", (0, 0x7FFFFFFF, 0xFFFFFFFF))]
    return [(raw.index(b"data") + 4, ">q", (-1,))]


@pytest.mark.parametrize("form", ["RF64", "W64", "AIFF", "AU", "CAF"])
def test_other_containers_of_unknown_length_go_to_their_end(tmp_path, form):
    if form == "RF64":  # soundfile writes short ones as WAV
        path = tmp_path / "written"
        with soundfile.SoundFile(path, "w", 8000, 1, "PCM_16", format="RF64") as file:
            file.write(SAMPLES)
        raw = path.read_bytes()
        assert raw[:4] == b"RF64"
    else:
        raw = written(tmp_path, form)
    check_whole(tmp_path / "a", raw)
    ((at, kind, values),) = sizes_of(raw, form)
    for value in values:
        changed = patched(raw, at, kind, value)
        if form == "AIFF":
            for frames in (0, 4000, 0x3F800000):
                comm = raw.index(b"COMM") + 10
                check_whole(tmp_path / "a", patched(changed, comm, ">I", frames))
        else:
            check_whole(tmp_path / "a", changed)


def test_sphere_without_a_count_goes_to_its_end(tmp_path):
    raw = written(tmp_path, "NIST")
    line = next(line for line in raw[:1024].split(b"\n") if line.startswith(b"sample_count"))
    for other in (b"sample_count -i 0", b"x" * 12):
        changed = raw[:1024].replace(line, other.ljust(len(line)))
        check_whole(tmp_path / "a", changed + raw[1024:])
    # A count is one of samples: what stands behind them is not audio.
    check_whole(tmp_path / "a", raw + bytes(2000))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", ["PCM_16", "PCM_24", "ULAW"])
def test_a_cut_anywhere_is_noticed(tmp_path, form, kind):
    raw = written(tmp_path, form, kind=kind)
    path = tmp_path / "a"
    for length in (len(raw) - 8, len(raw) - 800, len(raw) // 2):
        check_refused(path, raw[:length])
    path.write_bytes(raw[: len(raw) // 10])
    assert isinstance(measure(str(path)), str)


@settings(max_examples=300, deadline=None)
@given(
    form=st.sampled_from(["WAV", "AIFF", "AU", "CAF", "W64", "NIST", "FLAC", "OGG", "MP3"]),
    cut=st.integers(0, 9000),
    edits=st.lists(st.tuples(st.integers(0, 300), st.binary(min_size=1, max_size=9)), max_size=3),
)
def test_no_bytes_make_containers_fail(files, form, cut, edits):
    raw = bytearray(files[form][: len(files[form]) - cut])
    for at, change in edits:
        raw[at : at + len(change)] = change
    container = read_container(bytes(raw))
    for piece in container.view or ():
        assert isinstance(piece, bytes) or 0 <= piece[0] <= piece[1] <= len(raw)


@settings(max_examples=150, deadline=None)
@given(cut=st.integers(0, 8000), form=st.sampled_from(["WAV", "AIFF", "AU", "CAF", "NIST", "FLAC"]))
def test_what_is_not_refused_is_whole(files, tmp_path_factory, cut, form):
    path = tmp_path_factory.mktemp("cut") / "a"
    path.write_bytes(files[form][: len(files[form]) - cut])
    size = measure(str(path))
    assert isinstance(size, str) or size.seconds == 0.5


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A whole file of each format."""
    folder = tmp_path_factory.mktemp("files")
    kinds = {"OGG": "VORBIS", "MP3": "MPEG_LAYER_III"}
    return {
        form: written(folder, form, kind=kinds.get(form, "PCM_16"))
        for form in ("WAV", "AIFF", "AU", "CAF", "W64", "NIST", "FLAC", "OGG", "MP3")
    }
