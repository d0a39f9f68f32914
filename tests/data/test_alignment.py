"""Alignments from here and elsewhere."""

from __future__ import annotations

import gzip

import kaldiio
import numpy as np
import pytest

from asr_hf.data.alignment import Alignments
from asr_hf.runtime.errors import InputError

PDFS = {"utt-a": np.array([3, 3, 0, 7], np.int32), "utt-b": np.array([1], np.int32)}


def text_ark() -> bytes:
    return "".join(f"{k} {' '.join(map(str, v))} \n" for k, v in PDFS.items()).encode()


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("kind", ["binary", "text"])
def test_arks_from_kaldi(tmp_path, kind, zipped):
    path = tmp_path / "ali"
    kaldiio.save_ark(str(path), PDFS)
    raw = path.read_bytes() if kind == "binary" else text_ark()
    path.write_bytes(gzip.compress(raw) if zipped else raw)
    found = Alignments.from_kaldi(path)
    assert found.num_pdfs == 8
    assert Alignments.from_kaldi(path, 20).num_pdfs == 20
    assert found.pdfs.keys() == PDFS.keys()
    for key, labels in PDFS.items():
        np.testing.assert_array_equal(found.pdfs[key], labels)
        assert found.pdfs[key].dtype == np.int32


def test_what_is_written_is_read(tmp_path):
    Alignments(PDFS, 9).write(tmp_path)
    found = Alignments.read(tmp_path)
    assert found.num_pdfs == 9
    assert {k: v.tolist() for k, v in found.pdfs.items()} == {
        k: v.tolist() for k, v in PDFS.items()
    }


@pytest.mark.parametrize(("label", "frame"), [(8, 2), (-1, 3)])
def test_a_label_that_is_no_pdf_names_utterance_and_frame(label, frame):
    labels = np.zeros(6, np.int32)
    labels[[frame, 5]] = label
    with pytest.raises(InputError, match=rf"utt-x: pdf {label} at frame {frame}") as caught:
        Alignments({"utt-x": labels}, 8)
    assert "0 to 7" in caught.value.expected
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"utt-a 1 2\nutt-a 1 2\n", "utt-a: twice"),
        (b"utt-a 1 2\n\nutt-b 1 x\n", r"ali:3: alignment of utt-b.*'x'"),
        (b"utt-a 1 2.5\n", r"ali:1: alignment of utt-a"),
        (b"utt-a 1 99999999999\n", r"ali:1: alignment of utt-a"),
        (b"", "holds no alignments"),
        (b"\x1f\x8b\x08\x00broken", "cannot be read"),
        (b"utt-a \0B\4\x09\0\0\0\4\1\0\0\0", "corrupt after its beginning"),
    ],
    ids=["twice", "word", "float", "overflow", "empty", "torn-gzip", "torn-binary"],
)
def test_damaged_arks(tmp_path, raw, said):
    (tmp_path / "ali").write_bytes(raw)
    with pytest.raises(InputError, match=said):
        Alignments.from_kaldi(tmp_path / "ali")


def test_features_are_no_alignment(tmp_path):
    kaldiio.save_ark(str(tmp_path / "ali"), {"utt-a": np.ones((3, 2), np.float32)})
    with pytest.raises(InputError, match=r"utt-a: float32 of shape \(3, 2\)"):
        Alignments.from_kaldi(tmp_path / "ali")


def test_missing_ark(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        Alignments.from_kaldi(tmp_path / "nowhere")
