"""`asr-hf example`: recordings and a table as a newcomer has them."""

from __future__ import annotations

from pathlib import Path

import pytest

TOY = ["corpus.languages=[en]", "paths.cache=cache"]


@pytest.fixture
def mine(package, asr_hf, tmp_path) -> Path:
    package(tmp_path / "sounds")
    outcome = asr_hf("example", "mine", f"corpus.source={tmp_path / 'sounds'}", *TOY)
    assert outcome.code == 0, outcome.err
    return tmp_path / "mine"


def test_the_table_has_a_line_for_each_recording_with_its_published_words(mine, toy_transcripts):
    head, *lines = (mine / "table.tsv").read_text(encoding="utf-8").splitlines()
    assert head.split("\t") == ["audio", "text", "speaker"]
    rows = [line.split("\t") for line in lines]
    assert {audio for audio, _, _ in rows} == {f"wavs/{p.name}" for p in mine.glob("wavs/*.wav")}
    spoken = {audio: text for audio, text, _ in rows}
    # What is in brackets only is no speech, but stands in the published list.
    assert spoken["wavs/digits_1.wav"] == toy_transcripts["digits/1"]
    assert spoken["wavs/vm-goodbye.wav"] == "Goodbye"
    assert {speaker for _, _, speaker in rows} == {"en_us_f_allison"}


def test_the_table_can_be_prepared(mine, asr_hf):
    outcome = asr_hf("prepare", "table=mine/table.tsv", "corpus.max_skipped=0.2")
    assert outcome.code == 0, outcome.err
    assert (mine.parent / "data" / "table" / "train" / "wav.scp").is_file()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "asr-hf example DIR"),
        (["a", "b"], "2 folders"),
        (["a", "corpus.languages=[en,es]"], "one language"),
        (["a", "corpus.languages=[xx]"], "'xx'"),
        (["a", "corpus.source=nowhere"], "nowhere is no folder"),
        (["a", "corpus.langs=[es]"], "corpus.languages"),
    ],
)
def test_what_is_wrong_is_said(asr_hf, given, said):
    outcome = asr_hf("example", *given)
    assert outcome.code == 2 and said in outcome.err
    assert not Path("a").exists()
