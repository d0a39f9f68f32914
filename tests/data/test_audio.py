"""Audio by segment and channel, from every kind of file and command, good and bad."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_hf.data.audio import load_audio, open_recording
from asr_hf.data.audio_check import AudioSize, measure
from asr_hf.runtime.errors import InputError


def refused(*found: str, call) -> InputError:
    """The error of a call, which must say all of `found`, what was expected and a remedy."""
    with pytest.raises(InputError) as caught:
        call()
    for text in found:
        assert text in str(caught.value)
    assert caught.value.expected and caught.value.remedy
    return caught.value


def sphere(path: Path, coding: str, sample_bytes: int, channels: int, data: bytes, count: int):
    """Write a NIST SPHERE file by hand."""
    lines = [
        "NIST_1A",
        "   1024",
        f"sample_count -i {count}",
        f"sample_n_bytes -i {sample_bytes}",
        f"channel_count -i {channels}",
        "sample_byte_format -s2 01" if sample_bytes == 2 else "sample_byte_format -s1 1",
        "sample_rate -i 8000",
        f"sample_coding -s{len(coding)} {coding}",
        "end_head",
        "",
    ]
    path.write_bytes("\n".join(lines).encode().ljust(1024) + data)
    return path


def mulaw_values(codes: np.ndarray) -> np.ndarray:
    """16-bit values of mu-law codes (ITU-T G.711)."""
    inverted = ~codes.astype(np.uint8)
    exponent, mantissa = (inverted >> 4) & 7, inverted & 15
    size = (((mantissa.astype(np.int32) << 3) + 0x84) << exponent) - 0x84
    return np.where(inverted & 0x80, -size, size)


@pytest.mark.parametrize(("format", "subtype"), [("WAV", "PCM_16"), ("FLAC", "PCM_16")])
def test_samples_are_those_of_16_bit_integers(tmp_path, speech, format, subtype):
    samples = speech(0.5)
    samples[:2] = [-32768, 32767]
    path = tmp_path / "a"
    soundfile.write(path, samples, 8000, format=format, subtype=subtype)
    np.testing.assert_array_equal(load_audio(path, 8000).numpy(), samples)


def test_ogg_is_read(tmp_path, speech):
    path = tmp_path / "a.ogg"
    soundfile.write(path, speech(0.5), 8000)
    assert len(load_audio(path, 8000)) == 4000


def test_segments_and_channels(tmp_path, speech):
    sides = np.stack([speech(2.0, 1), speech(2.0, 2)], axis=1)
    soundfile.write(tmp_path / "a.wav", sides, 8000, subtype="PCM_16")
    found = load_audio(tmp_path / "a.wav", 8000, channel=1, start=0.25, end=1.5)
    np.testing.assert_array_equal(found.numpy(), sides[2000:12000, 1])
    overshoot = load_audio(tmp_path / "a.wav", 8000, start=1.5, end=2.4)
    np.testing.assert_array_equal(overshoot.numpy(), sides[12000:, 0])


def test_sphere_with_16_bit_samples(tmp_path, speech):
    samples = speech(0.5)
    path = sphere(tmp_path / "a.sph", "pcm", 2, 1, samples.astype("<i2").tobytes(), 4000)
    np.testing.assert_array_equal(load_audio(path, 8000).numpy(), samples)


def test_sphere_with_two_channels_of_mu_law(tmp_path):
    codes = np.random.default_rng(0).integers(0, 256, (3000, 2)).astype(np.uint8)
    path = sphere(tmp_path / "a.sph", "ulaw", 1, 2, codes.tobytes(), 3000)
    for channel in (0, 1):
        found = load_audio(path, 8000, channel=channel)
        np.testing.assert_array_equal(found.numpy(), mulaw_values(codes[:, channel]))


@pytest.mark.parametrize(("coding", "sample_bytes"), [("pcm", 2), ("ulaw", 1)])
def test_truncated_sphere(tmp_path, coding, sample_bytes):
    data = bytes(1000 * sample_bytes)
    path = sphere(tmp_path / "a.sph", coding, sample_bytes, 1, data, 4000)
    refused("a.sph", "truncated", f"{4000 * sample_bytes}", call=lambda: load_audio(path, 8000))
    assert "truncated" in measure(str(path))


def fake_sph2pipe(folder: Path, script: str, monkeypatch) -> None:
    program = folder / "bin" / "sph2pipe"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


def test_shortened_sphere_goes_through_sph2pipe(tmp_path, monkeypatch, write_wav, speech):
    coding = "pcm,embedded-shorten-v2.00"
    path = sphere(tmp_path / "a.sph", coding, 2, 1, b"ajkg", 4000)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", "")
        refused("a.sph", "sph2pipe", "install", call=lambda: load_audio(path, 8000))
    wav = write_wav(tmp_path / "real.wav", speech(0.5))
    fake_sph2pipe(tmp_path, f'[ "$1 $2 $3" = "-f wav -p" ] && cat {wav}', monkeypatch)
    found = load_audio(path, 8000, start=0.1, end=0.2)
    np.testing.assert_array_equal(found.numpy(), speech(0.5)[800:1600])


@pytest.mark.parametrize("fault", ["fewer samples", "a torn file"])
def test_truncated_shortened_sphere(tmp_path, monkeypatch, write_wav, speech, fault):
    path = sphere(tmp_path / "a.sph", "pcm,embedded-shorten-v2.00", 2, 1, b"ajkg", 4000)
    wav = write_wav(tmp_path / "real.wav", speech(0.5 if fault == "a torn file" else 0.4))
    command = f"head -c 6000 {wav}" if fault == "a torn file" else f"cat {wav}"
    fake_sph2pipe(tmp_path, command, monkeypatch)
    refused("a.sph", "truncated", call=lambda: load_audio(path, 8000))


def test_shortened_sphere_that_a_command_prints_is_named(tmp_path):
    path = sphere(tmp_path / "a.sph", "pcm,embedded-shorten-v2.00", 2, 1, b"ajkg", 4000)
    entry = f"cat {path} |"
    refused("shortened SPHERE", call=lambda: open_recording(entry, allow_pipes=True))


def test_shortened_sphere_is_measured_by_its_header_where_it_can_be_read(tmp_path, monkeypatch):
    path = sphere(tmp_path / "a.sph", "ulaw,embedded-shorten-v2.00", 1, 2, b"ajkg", 6000)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", "")
        assert "sph2pipe" in measure(str(path))
    fake_sph2pipe(tmp_path, "exit 1", monkeypatch)
    assert measure(str(path)) == AudioSize(0.75, 2, 8000)


@pytest.mark.parametrize(("field", "damaged"), [(b"-i 6000", b"-i   -1"), (b"-i 8000", b"-i    0")])
def test_shortened_sphere_without_samples_or_rate_is_refused(tmp_path, monkeypatch, field, damaged):
    path = sphere(tmp_path / "a.sph", "ulaw,embedded-shorten-v2.00", 1, 2, b"ajkg", 6000)
    path.write_bytes(path.read_bytes().replace(field, damaged))
    fake_sph2pipe(tmp_path, "exit 1", monkeypatch)
    assert "declares no samples" in measure(str(path))


def test_sph2pipe_that_fails_is_quoted(tmp_path, monkeypatch):
    path = sphere(tmp_path / "a.sph", "pcm,embedded-shorten-v2.00", 2, 1, b"", 4000)
    fake_sph2pipe(tmp_path, 'echo "bad shorten block" >&2; exit 3', monkeypatch)
    refused("a.sph", "status 3", "bad shorten block", call=lambda: load_audio(path, 8000))


def test_missing_empty_and_foreign_files(tmp_path):
    refused("no.wav", "no such audio file", call=lambda: load_audio(tmp_path / "no.wav", 8000))
    (tmp_path / "empty.wav").touch()
    refused("empty.wav", "empty", call=lambda: load_audio(tmp_path / "empty.wav", 8000))
    (tmp_path / "text.wav").write_text("not audio at all")
    refused("text.wav", "not readable", call=lambda: load_audio(tmp_path / "text.wav", 8000))


def test_wav_without_samples(tmp_path, write_wav):
    path = write_wav(tmp_path / "a.wav", np.zeros(0, np.int16))
    refused("a.wav", "holds no audio", call=lambda: load_audio(path, 8000))
    assert measure(str(path)) == "holds no audio"


@pytest.mark.parametrize("format", ["WAV", "FLAC", "OGG"])
def test_truncated_files_are_found_by_reader_and_validation(tmp_path, speech, format):
    path = tmp_path / "a"
    soundfile.write(path, speech(2.0), 8000, format=format)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert "truncated" in str(measure(str(path)))
    refused("truncated", call=lambda: load_audio(path, 8000))


def test_wav_with_other_chunks_before_its_samples(tmp_path, write_wav, speech):
    raw = write_wav(tmp_path / "a.wav", speech(0.5)).read_bytes()
    extra = b"LIST" + struct.pack("<I", 5) + b"abcde\0"
    path = tmp_path / "b.wav"
    path.write_bytes(raw[:36] + extra + raw[36:])
    assert len(load_audio(path, 8000)) == 4000
    path.write_bytes(raw[:36] + extra + raw[36:-10])
    refused("truncated: 7990 of the 8000 bytes", call=lambda: load_audio(path, 8000))


def test_wav_of_a_stream_declares_no_length_and_is_whole(tmp_path, write_wav, speech):
    raw = bytearray(write_wav(tmp_path / "a.wav", speech(0.5)).read_bytes())
    raw[4:8] = raw[40:44] = b"\xff\xff\xff\xff"
    (tmp_path / "a.wav").write_bytes(raw)
    assert len(load_audio(tmp_path / "a.wav", 8000)) == 4000


def test_another_sample_rate(tmp_path, write_wav, speech):
    path = write_wav(tmp_path / "a.wav", speech(0.5, rate=16000), 16000)
    error = refused("a.wav", "16000 Hz", call=lambda: load_audio(path, 8000))
    assert error.expected == "8000 Hz"


@pytest.mark.parametrize("channel", [-1, 1])
def test_no_such_channel(tmp_path, write_wav, speech, channel):
    path = write_wav(tmp_path / "a.wav", speech(0.5))
    refused(f"channel {channel + 1} of 1", call=lambda: load_audio(path, 8000, channel=channel))


@pytest.mark.parametrize(
    ("start", "end"), [(0.6, 0.9), (0.2, 1.1), (0.3, 0.3), (0.4, 0.2), (-0.1, 0.2), (0.5, None)]
)
def test_segments_outside_the_audio(tmp_path, write_wav, speech, start, end):
    path = write_wav(tmp_path / "a.wav", speech(0.5))
    refused("a.wav", f"{start:g} s", call=lambda: load_audio(path, 8000, start=start, end=end))


def test_commands_run_only_when_allowed(tmp_path, write_wav, speech):
    wav, witness = write_wav(tmp_path / "a.wav", speech(0.5)), tmp_path / "ran"
    entry = f"touch {witness}; cat {wav} |"
    refused("a.wav", "allow_pipes=true", call=lambda: open_recording(entry))
    assert not witness.exists()
    # The command has chosen the channel, whatever reco2file_and_channel says.
    found = open_recording(entry, allow_pipes=True).read(8000, channel=1, start=0.1)
    np.testing.assert_array_equal(found.numpy(), speech(0.5)[800:])
    assert witness.exists()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("echo trouble with the tape >&2; exit 7 |", "trouble with the tape"),
        ("no_such_program_here a.sph |", "no_such_program_here: command not found"),
        ("cat /nonexistent/a.sph | cat |", "No such file"),
        ("true |", "0 bytes"),
    ],
)
def test_commands_that_fail_are_named_with_what_they_said(entry, said):
    command = entry[:-1].strip()
    refused(command, said, call=lambda: open_recording(entry, allow_pipes=True))


@pytest.mark.parametrize("name", ["a" * 5000 + ".wav", "nul\0byte.wav"])
def test_names_that_no_file_can_have_are_refused_like_missing_files(name):
    with pytest.raises(InputError, match="no such audio file"):
        open_recording(name)
    assert measure(name) == "no such audio file"
