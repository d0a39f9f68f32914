"""Held-out utterances that the training set has too."""

from __future__ import annotations

import logging

import pytest

from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.data.overlap import overlap, warn_of_overlap


def directory(path, *utterances, wavs=None):
    data = DataDir(path, [Utterance(*one) for one in utterances], {})
    data.wavs.update(wavs or {u.recording: f"/audio/{u.recording}.wav" for u in data.utterances})
    path.mkdir()
    data.write()
    return data


TRAIN = [("a1", "a", "r1"), ("a2", "a", "r2", 0, 0.0, 2.0), ("a3", "a", "r2", 0, 2.0, 4.0)]


@pytest.mark.parametrize(
    ("heldout", "by_name", "by_recording"),
    [
        ([("b1", "b", "r3")], 0, 0),
        ([("a1", "b", "r3")], 1, 0),
        ([("b1", "b", "r1")], 0, 1),
        ([("b1", "b", "r2", 0, 2.0, 4.0)], 0, 1),
        # Another stretch, and another channel, of the same recording.
        ([("b1", "b", "r2", 0, 4.0, 6.0)], 0, 0),
        ([("b1", "b", "r2", 1, 2.0, 4.0)], 0, 0),
        (TRAIN, 3, 3),
    ],
)
def test_names_and_stretches_of_recordings_are_counted(tmp_path, heldout, by_name, by_recording):
    train = directory(tmp_path / "train", *TRAIN)
    found = overlap(train, directory(tmp_path / "dev", *heldout))
    assert (len(found.by_name), len(found.by_recording)) == (by_name, by_recording)
    assert found.is_all == (by_name + by_recording > 0)


def test_a_corpus_is_warned_of_with_counts(tmp_path, caplog):
    directory(tmp_path / "train", *TRAIN)
    directory(tmp_path / "dev", ("a1", "a", "r1"), ("b1", "b", "r2", 0, 0.0, 2.0), ("c", "c", "r9"))
    directory(tmp_path / "test", ("c1", "c", "r8"))
    with caplog.at_level(logging.WARNING, "asr_hf"):
        warn_of_overlap(tmp_path, "train", ["dev", "test"])
    (record,) = caplog.records
    assert "2 of 3 utterances of dev are in train too (1 by name, 2 by recording and times)" in (
        record.getMessage()
    )
