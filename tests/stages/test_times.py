"""Times of words and phones beside an alignment."""

from __future__ import annotations

import json

import pytest

from asr_hf.data.kaldi_dir import DataDir
from asr_hf.runtime.errors import InputError
from asr_hf.scoring.ctm import read_ctm
from asr_hf.stages import align
from asr_hf.stages.timing.timed_sets import TimesWanted

from ..scoring.praat import read_textgrid
from ..typed import typed
from . import drawn_corpus
from .drawn_corpus import SETS, WORDS, configuration, scores_of

drawn, root = drawn_corpus.drawn, drawn_corpus.root


def test_times_lie_where_the_alignment_does_and_are_kept(root, tmp_path):
    settings = typed(configuration(root))
    made = align.run(settings, times=TimesWanted("ctm"))["times"]
    assert {name: about["words"] for name, about in made.items()} == {
        name: 3 * count for name, count in SETS.items()
    }
    folder = root / "align" / "test" / "times"
    assert made["test"]["folder"] == folder / "ctm" and made["test"]["files"] == 2
    words = read_ctm(folder / "ctm" / "words.ctm")
    lines = (root / "align/test/words.ctm").read_text().splitlines()
    # Those are by speaker.
    aligned = sorted((line.split() for line in lines), key=lambda f: (f[0], float(f[2])))
    assert [(w.recording, w.word) for w in words] == [(line[0], line[4]) for line in aligned]
    for word, line in zip(words, aligned, strict=True):
        assert word.start == pytest.approx(float(line[2]) - 0.0025, abs=0.02)
        assert 0 < word.confidence <= 1
    kept = (folder / "times.jsonl").stat().st_mtime_ns
    align.run(settings, times=TimesWanted("json", tmp_path / "out"))
    assert (folder / "times.jsonl").stat().st_mtime_ns == kept
    value = json.loads((tmp_path / "out" / "test" / "test00.json").read_text())
    said = value["utterances"][0]["words"]
    assert [word["word"] for word in said] == [w.word for w in words if w.recording == "test00"]
    assert [p["phone"] for p in said[0]["phones"]] == WORDS["en"][said[0]["word"]].split()
    text = root / "test" / "text"
    line = text.read_text().splitlines()[0]
    text.write_text(text.read_text().replace(line, line.rsplit(" ", 1)[0]))
    about = align.run(settings, times=TimesWanted("json"))["times"]["test"]
    assert about["words"] == 3 * SETS["test"] - 1


def test_scores_of_a_network_give_times_too(root):
    config = configuration(root)
    config.alignment.from_run, config.alignment.tag = str(root / "run"), "again"
    (root / "run").mkdir()
    (root / "run" / "model.safetensors").write_bytes(b"a network")
    made = align.run(typed(config), scores_of(root), TimesWanted("ctm"))["times"]
    assert made["dev"]["folder"] == root / "align-again" / "dev" / "times" / "ctm"
    assert made["dev"]["words"] == 3 * SETS["dev"]


def test_textgrids_need_audio_that_can_be_measured(root):
    with pytest.raises(InputError, match=r"recording train00: .*no such audio file"):
        align.run(typed(configuration(root)), times=TimesWanted("textgrid"))


def test_alignments_from_elsewhere_have_no_times(root):
    config = configuration(root)
    config.alignment.from_ark, config.alignment.num_pdfs = str(root / "ali.ark"), 29
    with pytest.raises(InputError, match="made elsewhere"):
        align.run(typed(config), times=TimesWanted("ctm"))


def test_the_command_writes_a_textgrid_of_each_recording(place, tmp_path):
    said = place.well("align", "--format", "textgrid", f"--output={tmp_path / 'grids'}")
    assert f"{tmp_path / 'grids' / 'test'}: times of " in said
    data = DataDir.read(place.corpus / "test")
    assert {p.stem for p in (tmp_path / "grids" / "test").iterdir()} == set(data.wavs)
    for utterance in data.utterances:
        path = tmp_path / "grids" / "test" / f"{utterance.recording}.TextGrid"
        _, (words, phones) = read_textgrid(path.read_text(encoding="utf-8"))
        assert [label for *_, label in words.spoken] == utterance.text.split()
        starts = {start for start, *_ in phones.spoken}
        assert all(start in starts for start, *_ in words.spoken)


def test_a_folder_without_a_form_is_refused(place, tmp_path):
    assert "--format as well" in place.refused("align", "--output", str(tmp_path))
    assert "one of textgrid, ctm, json" in place.refused("align", "--format", "praat")
