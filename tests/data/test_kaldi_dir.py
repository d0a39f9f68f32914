"""Data directories: what is written is read, and what is wrong is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.runtime.errors import InputError

# Letters that Python's own line and word splitting would trip over.
names = st.text("aB0-_.é\u00a0\u2028\u0085", min_size=1, max_size=6)
texts = st.lists(names, max_size=4).map(" ".join)
times = st.integers(0, 40_000_000).map(lambda n: n / 1000)


@st.composite
def directories(draw) -> DataDir:
    recordings = draw(st.lists(names, min_size=1, max_size=3, unique=True))
    channels = {r: draw(st.integers(0, 2)) for r in recordings}
    utterances = []
    for name in draw(st.lists(names, min_size=1, max_size=5, unique=True)):
        recording, start = draw(st.sampled_from(recordings)), draw(times)
        end = draw(
            st.none() | st.integers(1, 90_000).map(lambda ms, s=start: round(s + ms / 1000, 3))
        )
        utterances.append(
            Utterance(
                name, draw(names), recording, channels[recording], start, end,
                draw(texts), draw(names),
            )
        )  # fmt: skip
    used = {u.recording for u in utterances}
    wavs = {r: f"/audio/{i} one.wav" for i, r in enumerate(recordings) if r in used}
    return DataDir(Path("x"), sorted(utterances, key=lambda u: u.id.encode()), wavs)


@settings(max_examples=40)
@given(directories())
def test_what_is_written_is_read(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("data")
    data.write(folder)
    found = DataDir.read(folder)
    assert found.utterances == data.utterances
    assert found.wavs == data.wavs


def test_files_are_sorted_as_in_the_c_locale(tmp_path):
    utterances = [Utterance(n, "s", n) for n in ("b", "B", "a-1", "a", "é")]
    DataDir(tmp_path, utterances, {u.id: f"/{u.id}.wav" for u in utterances}).write()
    for name in ("wav.scp", "utt2spk"):
        lines = (tmp_path / name).read_bytes().splitlines()
        assert [line.split()[0].decode() for line in lines] == ["B", "a", "a-1", "b", "é"]
    assert (tmp_path / "spk2utt").read_text() == "s B a a-1 b é\n"


def test_files_that_no_longer_say_anything_go(tmp_path):
    one = Utterance("u", "s", "r", 0, 0.0, 1.0, "hello", "en")
    DataDir(tmp_path, [one], {"r": "/r.wav"}).write()
    assert (tmp_path / "segments").read_text() == "u r 0 1\n"
    DataDir(tmp_path, [Utterance("r", "s", "r")], {"r": "/r.wav"}).write()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["spk2utt", "utt2spk", "wav.scp"]


def test_relative_audio_becomes_absolute_and_commands_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    utterances = [Utterance("a", "s", "a"), Utterance("b", "s", "b")]
    DataDir(tmp_path, utterances, {"a": "x/a.wav", "b": "sph2pipe b.sph |"}).write()
    assert DataDir.read(tmp_path).wavs == {"a": f"{tmp_path}/x/a.wav", "b": "sph2pipe b.sph |"}


def test_tabs_carriage_returns_and_byte_order_marks_are_no_content(tmp_path):
    (tmp_path / "wav.scp").write_bytes("\ufeffa\t/a b.wav\r\n".encode())
    (tmp_path / "utt2spk").write_bytes(b"a  s \n")
    (tmp_path / "text").write_bytes(b"a\tone  two\n")
    found = DataDir.read(tmp_path)
    assert found.utterances == [Utterance("a", "s", "a", text="one  two")]
    assert found.wavs == {"a": "/a b.wav"}


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("utt2spk", "u1 s\nu1 s\n", r"utt2spk:2: u1: a key twice"),
        ("utt2spk", "u1\n", r"utt2spk:1: u1: no value"),
        ("utt2spk", "u1 s\n\nu2 s\n", r"utt2spk:2: .*an empty line"),
        ("wav.scp", "r2 /r2.wav\n", r"wav\.scp: recording r1 of utterance u1 is missing"),
        ("segments", "u2 r1 0 1\n", r"segments: utterance u2 has no speaker"),
        ("segments", "", r"segments: utterance u1 of utt2spk is missing"),
        ("segments", "u1 r1 1 0.5\n", r"segments: utterance u1: 'r1 1 0.5'"),
        ("segments", "u1 r1 0\n", r"segments: utterance u1"),
        ("segments", "u1 r1 nan 2\n", r"segments: utterance u1"),
        ("text", "u1 a\nu9 b\n", r"text: utterance u9 has no speaker"),
        ("utt2lang", "u9 en\n", r"utt2lang: utterance u9 has no speaker"),
        ("reco2file_and_channel", "r1 r1 C\n", r"recording r1: 'r1 C'"),
        ("reco2file_and_channel", "r1 A\n", r"recording r1: 'A'"),
        ("reco2file_and_channel", "r1 r1 0\n", r"recording r1: 'r1 0'"),
        ("utt2spk", "u1 s t\n", r"utt2spk: utterance u1: 's t'"),
        ("utt2lang", "u1 en fr\n", r"utt2lang: utterance u1: 'en fr'"),
    ],
)
def test_damage_is_named(tmp_path, file, content, said):
    one = Utterance("u1", "s", "r1", 0, 0.0, 1.0)
    DataDir(tmp_path, [one], {"r1": "/r1.wav"}).write()
    (tmp_path / file).write_text(content)
    with pytest.raises(InputError, match=said):
        DataDir.read(tmp_path)


def test_other_encodings_are_named(tmp_path):
    DataDir(tmp_path, [Utterance("u", "s", "u", text="a")], {"u": "/u.wav"}).write()
    (tmp_path / "text").write_bytes("u café\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"text: not UTF-8 at byte 5") as caught:
        DataDir.read(tmp_path)
    assert "iconv" in caught.value.remedy


@pytest.mark.parametrize(
    "wrong",
    [
        Utterance("a b", "s", "r"),
        Utterance("", "s", "r"),
        Utterance("a", "s", "r", text="one\ntwo"),
    ],
)
def test_names_and_transcripts_that_kaldi_s_files_cannot_hold(tmp_path, wrong):
    with pytest.raises(InputError, match="cannot hold"):
        DataDir(tmp_path, [wrong], {"r": "/r.wav"}).write()


def test_one_recording_has_one_channel(tmp_path):
    sides = [Utterance("a", "s", "r", 0, 0.0, 1.0), Utterance("b", "t", "r", 1, 0.0, 1.0)]
    with pytest.raises(InputError, match="utterance b: channel 2 of recording r"):
        DataDir(tmp_path, sides, {"r": "/r.wav"}).write()
