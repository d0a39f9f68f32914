"""Validation names every offender; --fix mends what can be mended and keeps what was there."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.validate import validate
from asr_hf.runtime.errors import InputError


def edit(corpus, name, change):
    path = corpus.path / name
    path.write_text("".join(f"{line}\n" for line in change(path.read_text().splitlines())))


def cut_segments(corpus, line):
    """Give the directory segments, that of the first utterance as told."""
    rows = [f"{u.id} {u.recording} 0 0.4" for u in corpus.utterances]
    (corpus.path / "segments").write_text("\n".join([line, *rows[1:]]) + "\n")


def name_channels(corpus, line, *more):
    """Give the directory channels, that of the first recording as told."""
    rows = [line, *(f"{u.recording} {u.recording} A" for u in corpus.utterances[1:]), *more]
    (corpus.path / "reco2file_and_channel").write_text("\n".join(rows) + "\n")


def spoil_audio(corpus, change):
    path = corpus.path.parent / "wav" / "s1-u01.wav"
    content = change(path.read_bytes())
    path.unlink() if content is None else path.write_bytes(content)


# name: (damage, what is said and where, utterances that --fix drops)
DAMAGE = {
    "unsorted": (lambda c: edit(c, "text", lambda x: x[::-1]), ("text:2", "not sorted"), set()),
    "repeated": (
        lambda c: edit(c, "text", lambda x: [x[0], *x]),
        ("text:2: s0-u00", "twice, the same"),
        set(),
    ),
    "contradiction": (
        lambda c: edit(c, "text", lambda x: [x[0], "s0-u00 other", *x[1:]]),
        ("text:2: s0-u00", "twice, with another value"),
        {"s0-u00"},
    ),
    "contradicting-audio": (
        lambda c: edit(c, "wav.scp", lambda x: [x[0], "s0-u00 /other.wav", *x[1:]]),
        ("wav.scp:2: s0-u00", "twice, with another value"),
        {"s0-u00"},
    ),
    "empty-line": (
        lambda c: edit(c, "text", lambda x: [*x, ""]),
        ("text:7", "an empty line"),
        set(),
    ),
    "no-transcript": (
        lambda c: edit(c, "text", lambda x: x[1:]),
        ("text: s0-u00", "missing"),
        {"s0-u00"},
    ),
    "empty-transcript": (
        lambda c: edit(c, "text", lambda x: ["s0-u00", *x[1:]]),
        ("text:1: s0-u00", "no value"),
        {"s0-u00"},
    ),
    "unknown-speaker": (
        lambda c: edit(c, "utt2spk", lambda x: x[1:]),
        ("text: s0-u00", "no speaker"),
        {"s0-u00"},
    ),
    "no-language": (
        lambda c: edit(c, "utt2lang", lambda x: x[1:]),
        ("utt2lang: s0-u00", "missing"),
        {"s0-u00"},
    ),
    "old-spk2utt": (
        lambda c: edit(c, "spk2utt", lambda x: x[1:]),
        ("spk2utt", "does not agree"),
        set(),
    ),
    "no-spk2utt": (
        lambda c: (c.path / "spk2utt").unlink(),
        ("spk2utt", "does not agree"),
        set(),
    ),
    "no-recording": (
        lambda c: edit(c, "wav.scp", lambda x: x[1:]),
        ("s0-u00", "recording s0-u00 is missing"),
        {"s0-u00"},
    ),
    "missing-audio": (
        lambda c: spoil_audio(c, lambda raw: None),
        ("s1-u01.wav", "no such audio file"),
        {"s1-u01"},
    ),
    "empty-audio": (
        lambda c: spoil_audio(c, lambda raw: b""),
        ("s1-u01.wav", "empty audio file"),
        {"s1-u01"},
    ),
    "truncated-audio": (
        lambda c: spoil_audio(c, lambda raw: raw[:-2000]),
        ("s1-u01.wav", "truncated: 7600 of the 9600 bytes"),
        {"s1-u01"},
    ),
    "no-audio": (
        lambda c: spoil_audio(c, lambda raw: b"text"),
        ("s1-u01.wav", "not readable"),
        {"s1-u01"},
    ),
    "segment-beyond": (
        lambda c: cut_segments(c, "s0-u00 s0-u00 0 2.5"),
        ("s0-u00", "to 2.5 s of 0.50 s"),
        {"s0-u00"},
    ),
    "segment-backwards": (
        lambda c: cut_segments(c, "s0-u00 s0-u00 0.4 0.1"),
        ("s0-u00", "0 <= start < end"),
        {"s0-u00"},
    ),
    "segment-words": (
        lambda c: cut_segments(c, "s0-u00 s0-u00 zero one"),
        ("s0-u00", "0 <= start < end"),
        {"s0-u00"},
    ),
    "two-speakers": (
        lambda c: edit(c, "utt2spk", lambda x: ["s0-u00 s0 s1", *x[1:]]),
        ("utt2spk:1: s0-u00", "expected one speaker"),
        {"s0-u00"},
    ),
    "two-languages": (
        lambda c: edit(c, "utt2lang", lambda x: ["s0-u00 en fr", *x[1:]]),
        ("utt2lang:1: s0-u00", "expected one language"),
        {"s0-u00"},
    ),
    "no-such-channel-name": (
        lambda c: name_channels(c, "s0-u00 s0-u00 L"),
        ("reco2file_and_channel:1: s0-u00", "A, B or a number"),
        {"s0-u00"},
    ),
    "channel-beyond": (
        lambda c: name_channels(c, "s0-u00 s0-u00 B"),
        ("s0-u00", "channel 2 of 1"),
        {"s0-u00"},
    ),
    "channel-missing": (
        lambda c: name_channels(c, "s0-u09 s0-u09 A"),
        ("reco2file_and_channel: recording s0-u00", "missing"),
        {"s0-u00"},
    ),
    "channel-of-nothing": (
        lambda c: name_channels(c, "s0-u00 s0-u00 A", "s9 s9 A"),
        ("reco2file_and_channel: recording s9", "not in wav.scp"),
        set(),
    ),
    "segment-missing": (
        lambda c: cut_segments(c, "s0-u09 s0-u00 0 0.1"),
        ("segments: s0-u00", "missing"),
        {"s0-u00"},
    ),
}


def test_a_good_directory_has_no_problems_and_fixing_leaves_it_alone(corpus, files_in):
    before = files_in(corpus.path)
    assert validate(corpus.path) == []
    assert validate(corpus.path, fix=True) == []
    assert files_in(corpus.path) == before


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_named_and_fixed(corpus, name):
    damage, said, dropped = DAMAGE[name]
    damage(corpus)
    damaged = {p.name: p.read_bytes() for p in corpus.path.iterdir()}
    problems = validate(corpus.path)
    assert any(all(text in str(problem) for text in said) for problem in problems), problems
    assert all(problem.remedy for problem in problems)
    assert {p.name: p.read_bytes() for p in corpus.path.iterdir()} == damaged
    assert validate(corpus.path, fix=True) == []
    kept = {u.id for u in DataDir.read(corpus.path).utterances}
    assert kept == {u.id for u in corpus.utterances} - dropped
    assert {p.name: p.read_bytes() for p in (corpus.path / ".backup").iterdir()} == damaged


def test_a_second_fix_keeps_the_first_backup(corpus):
    first = (corpus.path / "text").read_bytes()
    for name in (".backup", ".backup.2"):
        edit(corpus, "text", lambda lines: lines[1:])
        validate(corpus.path, fix=True)
        assert (corpus.path / name).is_dir()
    kept = (corpus.path / ".backup" / "text").read_bytes().splitlines()
    assert kept == first.splitlines()[1:]


def test_dropped_utterances_are_logged(corpus, caplog):
    edit(corpus, "text", lambda lines: lines[1:])
    validate(corpus.path, fix=True)
    assert "dropped s0-u00: text: missing" in caplog.text


def test_all_offenders_are_listed_at_once(corpus):
    for name in ("unsorted", "truncated-audio", "old-spk2utt", "no-language"):
        DAMAGE[name][0](corpus)
    listed = "\n".join(map(str, validate(corpus.path)))
    for name in ("unsorted", "truncated-audio", "old-spk2utt", "no-language"):
        assert all(text in listed for text in DAMAGE[name][1])


def test_other_encodings_are_named_and_not_fixed_by_dropping_all(corpus):
    (corpus.path / "text").write_bytes("s0-u00 café\n".encode("latin-1"))
    assert any("text: not UTF-8 at byte 10" in str(p) for p in validate(corpus.path))
    before = (corpus.path / "utt2spk").read_bytes()
    with pytest.raises(InputError, match="not UTF-8"):
        validate(corpus.path, fix=True)
    assert (corpus.path / "utt2spk").read_bytes() == before


def test_fixing_never_drops_every_utterance(corpus):
    for wav in corpus.wavs.values():
        (corpus.path / wav).unlink()
    before = (corpus.path / "utt2spk").read_bytes()
    with pytest.raises(InputError, match="every utterance") as caught:
        validate(corpus.path, fix=True)
    assert "no such audio file" in caught.value.problem
    assert (corpus.path / "utt2spk").read_bytes() == before


def test_commands_are_named_but_neither_run_nor_dropped(corpus, tmp_path):
    edit(corpus, "wav.scp", lambda lines: [f"s0-u00 touch {tmp_path}/ran |", *lines[1:]])
    for fix in (False, True):
        (problem,) = validate(corpus.path, fix=fix)
        assert "s0-u00: a command" in problem.what and "allow_pipes" in problem.remedy
    assert not (tmp_path / "ran").exists()
    assert len(DataDir.read(corpus.path).utterances) == 6


@pytest.mark.parametrize("name", ["wav.scp", "utt2spk"])
def test_required_files(corpus, name):
    (corpus.path / name).unlink()
    assert any(p.where.endswith(name) and p.what == "missing" for p in validate(corpus.path))
    with pytest.raises(InputError, match=f"{name}: missing"):
        validate(corpus.path, fix=True)


def test_no_directory(tmp_path):
    with pytest.raises(InputError, match="nowhere: no such directory"):
        validate(tmp_path / "nowhere")


WORD = st.sampled_from(["", "A", "B", "C", "2", "-1", "nan", "x", "s0-u00", "\ufeff", "\t", "\xa0"])
EDIT = st.tuples(
    st.sampled_from(["wav.scp", "utt2spk", "text", "segments", "utt2lang", "spk2utt"])
    | st.just("reco2file_and_channel"),
    st.integers(0, 3),
    st.sampled_from(["drop", "replace", "append", "cut", "double", "insert"]),
    st.lists(WORD, min_size=1, max_size=4),
)


def garble(lines, at, how, words):
    """Damage line number `at`."""
    fields = lines[at].split(" ")
    changed = {
        "drop": [],
        "replace": [" ".join([*fields[:-1], words[0]])],
        "append": [" ".join([*fields, *words])],
        "cut": [" ".join(fields[:-1])],
        "double": [lines[at], lines[0]],
        "insert": [" ".join(words), lines[at]],
    }[how]
    return [*lines[:at], *changed, *lines[at + 1 :]]


@settings(max_examples=100)
@given(edits=st.lists(EDIT, min_size=1, max_size=2, unique_by=lambda edit: edit[0]))
def test_what_passes_can_be_read_and_what_is_fixed_passes(garbled, edits):
    folder, content = garbled
    for name, text in content.items():
        (folder / name).write_text(text)
    for name, at, how, words in edits:
        lines = content[name].splitlines()
        changed = garble(lines, at % len(lines), how, words)
        (folder / name).write_text("\n".join(changed) + "\n")
    if not validate(folder):
        data = DataDir.read(folder)
        data.write(folder / "again")
        assert DataDir.read(folder / "again").utterances == data.utterances
    # Two edits spoil at most three of four utterances, so that something is left.
    assert validate(folder, fix=True) == []
    DataDir.read(folder)


@pytest.fixture(scope="module")
def garbled(tmp_path_factory, make_corpus):
    """A data directory with every file there can be, and what its files hold."""
    data = make_corpus(tmp_path_factory.mktemp("garbled"), 4)
    whole = [dataclasses.replace(u, start=0.0, end=0.3) for u in data.utterances]
    DataDir(data.path, whole, data.wavs).write()
    channels = "".join(f"{u.recording} {u.recording} A\n" for u in whole)
    (data.path / "reco2file_and_channel").write_text(channels)
    return data.path, {p.name: p.read_text() for p in data.path.iterdir()}
