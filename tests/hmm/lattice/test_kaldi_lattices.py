"""Lattices of Kaldi's read from its archives."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_hf.hmm.lattice.kaldi_lattices import checked_lattice, read_lattices
from asr_hf.runtime.errors import InputError

from .kaldi_archives import PATHS, TOY, binary, paths, text, write


@pytest.mark.parametrize("form", [binary, text], ids=["binary", "text"])
def test_every_reading_of_a_compact_lattice(tmp_path: Path, form) -> None:
    path = write(tmp_path / "lat.1.gz", {"u1": form(TOY), "u2": form(TOY)})
    found = dict(read_lattices(path))
    assert list(found) == ["u1", "u2"]
    for name, raw in found.items():
        lattice = checked_lattice(raw, name, 13)
        assert lattice.num_frames == 4
        assert paths(lattice) == PATHS


def test_a_lattice_that_is_not_compact_as_kaldifst_writes_it(tmp_path: Path) -> None:
    from asr_hf.hmm.kaldi import kaldifst

    plain = kaldifst.Lattice()
    for _ in range(4):
        plain.add_state()
    plain.start = 0
    for source, target, label, word, graph, acoustic in (
        (0, 1, 1, 7, 1.5, 20),
        (0, 2, 3, 0, 0.5, 11),
        (1, 3, 2, 0, 0, 0),
        (2, 3, 4, 8, 0, 0),
    ):
        weight = kaldifst.LatticeWeight(graph, acoustic)
        plain.add_arc(source, kaldifst.LatticeArc(label, word, weight, target))
    plain.set_final(3, kaldifst.LatticeWeight(2.5, 0))
    plain.write(str(tmp_path / "plain.fst"))
    right = [([1, 2], [7], -4.0, -20.0), ([3, 4], [8], -3.0, -11.0)]
    written = plain.to_str(show_weight_one=True).strip()
    for entry in ((tmp_path / "plain.fst").read_bytes(), f"\n{written}\n\n".encode()):
        found = dict(read_lattices(write(tmp_path / "lat.1", {"u": entry, "v": entry})))
        assert list(found) == ["u", "v"]
        assert paths(checked_lattice(found["v"], "v", 13)) == right


def test_broken_lattices_are_named(tmp_path: Path) -> None:
    wrong = {
        "a circle": "\n0 1 0 1,1,\n1 0 0 1,1,\n1 1,1,1\n\n",
        "unequal lengths": "\n0 1 5 1,1,1_2\n0 1 6 1,1,3\n1 0,0,\n\n",
        "no final state": "\n0 1 5 1,1,1_2\n\n",
        "an unknown transition": "\n0 1 5 1,1,99\n1 0,0,\n\n",
        "a score that is none": "\n0 1 5 nan,1,1\n1 0,0,\n\n",
    }
    for what, content in wrong.items():
        ((name, raw),) = read_lattices(write(tmp_path / "lat.1", {"utt-x": content.encode()}))
        with pytest.raises(InputError, match="utt-x"):
            checked_lattice(raw, name, 13)
            pytest.fail(what)
    for content in ("\n0 1 five 1,1,1\n\n", "\n0 1 5 6 7 8\n\n", "\n0 -1 5\n\n", "\n\n", "no"):
        with pytest.raises(InputError, match=r"lat\.1: byte"):
            list(read_lattices(write(tmp_path / "lat.1", {"u": content.encode()})))
    constant = binary(TOY).replace(b"vector", b"const!")
    with pytest.raises(InputError, match="const!"):
        list(read_lattices(write(tmp_path / "lat.1", {"u": constant})))


@settings(max_examples=150)
@given(st.data())
def test_damaged_bytes_give_input_errors_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    form = data.draw(st.sampled_from([binary, text]))
    raw = bytearray(b"u " + form(TOY) + b"v " + form(TOY))
    for _ in range(data.draw(st.integers(0, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged"
    path.write_bytes(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
    try:
        for name, found in read_lattices(path):
            checked_lattice(found, name, 13)
    except InputError:
        pass
