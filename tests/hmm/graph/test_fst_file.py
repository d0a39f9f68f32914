"""Files of transducers, looked at before C++ reads them."""

from __future__ import annotations

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.hmm.graph import fst as fsts
from asr_hf.hmm.graph.fst_file import Labels, is_const_fst, read_vector_fst, to_vector_fst
from asr_hf.hmm.kaldi import kaldifst
from asr_hf.runtime.errors import InputError

ARCS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 99), st.integers(0, 99)),
    max_size=12,
)


def written(path, arcs, states=5):
    fst = fsts.build([(*arc, 0.5) for arc in arcs], [states - 1], states)
    fsts.write(fst, path)
    return fst


@given(arcs=ARCS)
def test_labels_arcs_and_final_states_are_those_that_the_library_sees(tmp_path_factory, arcs):
    path = tmp_path_factory.mktemp("fst") / "a.fst"
    fst = written(path, arcs)
    every = [a for s in range(fst.num_states) for a in kaldifst.ArcIterator(fst, s)]
    wanted = Labels(
        max((a.ilabel for a in every), default=0), max((a.olabel for a in every), default=0)
    )
    read = read_vector_fst(path.read_bytes())
    assert read.labels == wanted
    assert read.counts.tolist() == [fst.num_arcs(s) for s in range(fst.num_states)]
    rows = [(a.ilabel, a.olabel, a.nextstate) for a in every]
    assert [tuple(row) for row in read.arcs[:, [0, 1, 3]].tolist()] == rows
    costs = np.ascontiguousarray(read.arcs[:, 2]).view(np.float32)
    np.testing.assert_array_equal(costs, np.array([a.weight.value for a in every], np.float32))
    np.testing.assert_array_equal(read.finals, [np.inf] * 4 + [0])
    again = fsts.read(path, wanted)
    assert again.num_states == fst.num_states
    assert fsts.input_labels(again) == fsts.input_labels(fst)


def test_every_file_that_is_cut_short_is_refused(tmp_path):
    written(tmp_path / "a.fst", [(0, 1, 1, 2), (1, 4, 3, 4)])
    whole = (tmp_path / "a.fst").read_bytes()
    for size in range(len(whole)):
        with pytest.raises(ValueError, match=r"cut short|not a|in \d+ bytes|arcs of state"):
            read_vector_fst(whole[:size])


@pytest.mark.parametrize(
    ("word", "value", "complaint"),
    [
        (3, 5, "arcs with negative labels, or to none"),
        (3, -1, "arcs with negative labels, or to none"),
        (0, -7, "arcs with negative labels"),
        (1, -7, "arcs with negative labels"),
        (0, 2**31 - 1, "expected: at most 9 transition ids"),
        (1, 10, "expected: at most 9 transition ids"),
        (-2, 2**30, "arcs of state 0"),
    ],
)
def test_damage_that_would_crash_is_named(tmp_path, word, value, complaint):
    path = tmp_path / "a.fst"
    written(path, [(0, 1, 1, 2)])
    data = bytearray(path.read_bytes())
    first = data.index(struct.pack("<ii", 1, 2), 60)
    data[first + 4 * word : first + 4 * word + 4] = struct.pack("<i", value)
    path.write_bytes(data)
    with pytest.raises(InputError, match=rf"(?s)a\.fst.*{complaint}"):
        fsts.read(path, Labels(9, 9))


def test_sizes_of_gigabytes_and_other_kinds_are_refused(tmp_path):
    path = tmp_path / "a.fst"
    written(path, [(0, 1, 1, 2)])
    whole = path.read_bytes()
    states = struct.pack("<q", 5)
    at = whole.index(states)
    for damaged in (
        whole[:at] + struct.pack("<q", 2**40) + whole[at + 8 :],
        whole.replace(b"standard", b"log_arcs"),
        whole.replace(b"vector", b"const_"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"a\.fst: not a transducer, or damaged"):
            fsts.read(path)


@given(arcs=ARCS)
def test_a_file_that_cannot_grow_is_read_as_the_one_that_can(tmp_path_factory, arcs):
    folder = tmp_path_factory.mktemp("fst")
    fst = written(folder / "vector.fst", arcs)
    kaldifst.StdConstFst(fst).write(str(folder / "const.fst"))
    const = (folder / "const.fst").read_bytes()
    assert is_const_fst(const) and not is_const_fst((folder / "vector.fst").read_bytes())
    read = read_vector_fst(to_vector_fst(const))
    same = read_vector_fst((folder / "vector.fst").read_bytes())
    assert read.start == same.start
    for name in ("counts", "arcs", "finals"):
        np.testing.assert_array_equal(getattr(read, name), getattr(same, name))
    assert fsts.read(folder / "const.fst").to_str() == fst.to_str()


@given(data=st.data())
def test_damage_to_files_that_cannot_grow_is_named(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("fst")
    fst = written(folder / "vector.fst", [(0, 1, 1, 2), (1, 4, 3, 4), (0, 4, 5, 6)])
    path = folder / "const.fst"
    kaldifst.StdConstFst(fst).write(str(path))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(0, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    with contextlib.suppress(InputError):
        fsts.read(path, Labels(9, 9))
