from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from asr_hf.kaldi.reader import KaldiReader
from asr_hf.kaldi.writer import KaldiWriter
from asr_hf.runtime.errors import InputError

INT32 = st.integers(-(2**31), 2**31 - 1)
# Seven digits, which text holds exactly.
FLOATS = st.integers(-9_999_999, 9_999_999).map(lambda n: np.float32(n / 1024))


def reader_of(writer: KaldiWriter) -> KaldiReader:
    return KaldiReader(writer.contents(), "file", writer.binary)


@given(st.booleans(), st.lists(INT32), st.lists(INT32, max_size=5), st.floats(width=32))
def test_numbers_come_back(
    binary: bool, numbers: list[int], vector: list[int], value: float
) -> None:
    writer = KaldiWriter(binary)
    writer.token("<Begin>")
    writer.integer(*numbers)
    writer.integers(vector)
    writer.number(value)
    writer.integer(len(numbers), unsigned=True)
    writer.token("</End>")
    reader = reader_of(writer)
    reader.expect("<Begin>")
    assert [reader.integer("n") for _ in numbers] == numbers
    assert reader.integers("v").tolist() == vector
    np.testing.assert_allclose(reader.number("x"), value, rtol=1e-6, atol=1e-44)
    assert reader.integer("n", unsigned=True) == len(numbers)
    assert reader.expect("<Other>", "</End>") == "</End>"


@given(st.booleans(), arrays(np.float32, array_shapes(min_dims=2, max_dims=2), elements=FLOATS))
def test_matrices_come_back(binary: bool, matrix: np.ndarray) -> None:
    writer = KaldiWriter(binary)
    writer.matrix(matrix)
    writer.vector(matrix[0])
    writer.token("</End>")
    reader = reader_of(writer)
    np.testing.assert_allclose(reader.matrix("m"), matrix, rtol=1e-6)
    np.testing.assert_allclose(reader.vector("v"), matrix[0], rtol=1e-6)
    reader.expect("</End>")


@given(st.booleans(), st.data())
def test_damage_is_an_input_error_and_nothing_else(binary: bool, data: st.DataObject) -> None:
    writer = KaldiWriter(binary)
    writer.token("<A>")
    writer.integers([1, 2, 3])
    writer.matrix(np.ones((2, 3), np.float32))
    writer.integer(7)
    writer.vector(np.ones(2, np.float32))
    writer.token("</A>")
    raw = bytearray(writer.contents())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    reader = KaldiReader(bytes(raw[: data.draw(st.integers(0, len(raw)))]), "name.mdl", binary)
    try:
        reader.expect("<A>")
        reader.integers("v")
        reader.matrix("m")
        reader.integer("n")
        reader.vector("v")
        reader.expect("</A>")
    except InputError as error:
        assert "name.mdl: byte" in error.problem


@pytest.mark.parametrize("count", [2**31 - 1, -1])
def test_a_size_beyond_the_file_allocates_nothing(count: int) -> None:
    for raw, read in (
        (struct.pack("<bi", 4, count), KaldiReader.integers),
        (b"FV " + struct.pack("<bi", 4, count), KaldiReader.vector),
        (b"DM " + struct.pack("<bibi", 4, count, 4, count), KaldiReader.matrix),
    ):
        with pytest.raises(InputError, match=r"final\.mdl: byte"):
            read(KaldiReader(raw + b"12345678", "final.mdl", True), "numbers")


def test_the_message_names_the_place_and_what_was_expected() -> None:
    with pytest.raises(InputError) as caught:
        KaldiReader(b"<A> <B> ", "exp/final.mdl", False, 4).expect("<C>")
    assert "exp/final.mdl: byte 4: '<B>'" in str(caught.value)
    assert "<C>" in caught.value.expected
