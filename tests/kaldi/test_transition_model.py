from __future__ import annotations

import math
import struct
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from asr_hf.kaldi.reader import KaldiReader
from asr_hf.kaldi.topology import Topology, TopologyState
from asr_hf.kaldi.transition_model import KaldiTransitionModel, read_transition_model
from asr_hf.kaldi.writer import KaldiWriter
from asr_hf.runtime.errors import InputError


def contents(model: KaldiTransitionModel, binary: bool) -> bytes:
    writer = KaldiWriter(binary)
    model.write(writer)
    return writer.contents()


def read(raw: bytes, binary: bool) -> KaldiTransitionModel:
    return KaldiTransitionModel.read(KaldiReader(raw, "final.mdl", binary))


@pytest.fixture
def chain() -> KaldiTransitionModel:
    """A model whose self-loops have pdfs of their own (<Tuples>)."""
    states = (TopologyState(0, 1, ((0, 0.5), (1, 0.5))), TopologyState(-1, -1, ()))
    topology = Topology((states,), (-1, 0, 0))
    tuples = np.array([[1, 0, 0, 1], [2, 0, 2, 3]], np.int32)
    return KaldiTransitionModel(topology, tuples, np.log([1, 0.5, 0.5, 0.25, 0.75]))


def test_the_same_text_as_kaldi(real: SimpleNamespace) -> None:
    text = str(real.transitions).encode()
    assert contents(read(text, False), binary=False) == text


def test_the_same_ids_as_kaldi(real: SimpleNamespace) -> None:
    model, oracle = read(str(real.transitions).encode(), False), real.transitions
    ids = range(1, oracle.num_transition_ids + 1)
    assert model.num_transition_ids == oracle.num_transition_ids
    assert model.num_pdfs == oracle.num_pdfs
    assert model.pdf_of[1:].tolist() == oracle.transition_id_to_pdf_array()[1:]
    assert model.phone_of[1:].tolist() == [oracle.transition_id_to_phone(i) for i in ids]
    assert model.is_self_loop[1:].tolist() == [oracle.is_self_loop(i) for i in ids]
    assert model.is_final[1:].tolist() == [oracle.is_final(i) for i in ids]


def test_binary_and_text_give_the_same_model(real: SimpleNamespace) -> None:
    text = str(real.transitions).encode()
    binary = contents(read(text, False), binary=True)
    model = read(binary, True)
    assert contents(model, binary=True) == binary
    # Kaldi writes seven digits, kaldi_hmm_gmm six of them: compare both from the same numbers.
    assert contents(model, binary=False) == contents(read(text, False), binary=False)
    np.testing.assert_allclose(model.log_probs, read(text, False).log_probs, rtol=1e-6)
    np.testing.assert_array_equal(model.tuples, read(text, False).tuples)
    assert model.topology.entry_of == read(text, False).topology.entry_of


def test_self_loops_with_pdfs_of_their_own(chain: KaldiTransitionModel) -> None:
    assert chain.pdf_of[1:].tolist() == [1, 0, 3, 2]
    assert chain.num_pdfs == 4
    text = contents(chain, binary=False)
    assert b"<ForwardPdfClass> 0 <SelfLoopPdfClass> 1 " in text and b"<Tuples> 2" in text
    for binary in (False, True):
        raw = contents(chain, binary)
        again = read(raw, binary)
        assert contents(again, binary) == raw
        assert again.topology == chain.topology
        np.testing.assert_array_equal(again.tuples, chain.tuples)
        np.testing.assert_array_equal(again.pdf_of, chain.pdf_of)
        np.testing.assert_allclose(again.log_probs, chain.log_probs, rtol=1e-6)


def test_binary_files_byte_by_byte() -> None:
    """The layout of Kaldi's own writer, put down here once more."""

    def i(*numbers: int) -> bytes:
        return b"".join(struct.pack("<bi", 4, n) for n in numbers)

    def f(number: float) -> bytes:
        return struct.pack("<bf", 4, number)

    raw = b"<TransitionModel> <Topology> "
    # Vectors: the size of an element, their number, the elements.
    raw += struct.pack("<bii", 4, 1, 1) + struct.pack("<biii", 4, 2, -1, 0)
    raw += i(1, 2) + i(0, 2) + i(0) + f(0.75) + i(1) + f(0.25) + i(-1, 0)
    raw += b"</Topology> <Triples> " + i(1) + i(1, 0, 5) + b"</Triples> <LogProbs> FV "
    raw += i(3) + struct.pack("<3f", 0, math.log(0.75), math.log(0.25))
    raw += b"</LogProbs> </TransitionModel> "
    model = read(raw, True)
    assert model.topology.entries == (
        (TopologyState(0, 0, ((0, 0.75), (1, 0.25))), TopologyState(-1, -1, ())),
    )
    assert model.pdf_of.tolist() == [0, 5, 5] and model.num_pdfs == 6
    assert contents(model, binary=True) == raw


def test_text_probabilities_are_written_as_they_were_read(real: SimpleNamespace) -> None:
    # Single precision holds only some numbers of seven digits between 9.77e-4 and 1e-3.
    text = str(real.transitions).replace("-0.693147", "-0.0009768123", 1).encode()
    assert contents(read(text, False), binary=False) == text


def test_a_file_with_a_gmm_behind_it(tmp_path: Path, real: SimpleNamespace) -> None:
    text = str(real.transitions).encode()
    (tmp_path / "text.mdl").write_bytes(text + b"<DIMENSION> 39 <NUMPDFS> 6 <DiagGMM> \n")
    binary = b"\0B" + contents(read(text, False), True) + b"<DIMENSION> \4\x27\0\0\0"
    (tmp_path / "binary.mdl").write_bytes(binary)
    found = [read_transition_model(tmp_path / f"{kind}.mdl") for kind in ("text", "binary")]
    np.testing.assert_array_equal(found[0].pdf_of, found[1].pdf_of)
    np.testing.assert_array_equal(found[0].tuples, found[1].tuples)


def test_damaged_files_are_named(tmp_path: Path, real: SimpleNamespace) -> None:
    text = str(real.transitions)
    path = tmp_path / "final.mdl"
    wrong = {
        "cut": text[: len(text) // 2],
        "a phone without topology": text.replace("\n3 1 5 \n", "\n9 1 5 \n"),
        "one probability fewer": text.replace(" [ 0 ", " [ ", 1),
        "a state that is not there": text.replace("<Transition> 1 0.25", "<Transition> 7 0.25"),
        "a negative pdf": text.replace("\n3 1 5 \n", "\n3 1 -5 \n"),
        "no model": "hello world\n",
        "nothing": "",
    }
    for what, content in wrong.items():
        assert content != text, what
        path.write_text(content)
        with pytest.raises(InputError, match=r"final\.mdl: byte"):
            read_transition_model(path)
    path.unlink()
    with pytest.raises(InputError, match="no such file"):
        read_transition_model(path)


def test_every_truncation_of_a_binary_file_is_refused(chain: KaldiTransitionModel) -> None:
    raw = contents(chain, binary=True)
    for size in range(len(raw)):
        with pytest.raises(InputError):
            read(raw[:size], True)


def test_a_small_file_cannot_ask_for_a_large_table() -> None:
    """Five thousand states of five thousand transitions each would take gigabytes."""
    many = 5000
    states = (TopologyState(0, 0, ((1, 0.5),) * many), TopologyState(-1, -1, ()))
    tuples = np.tile(np.array([[1, 0, 0, 0]], np.int32), (many, 1))
    model = KaldiTransitionModel(Topology((states,), (-1, 0)), tuples, np.zeros(3))
    with pytest.raises(InputError, match="3 log probabilities"):
        read(contents(model, binary=True), True)
