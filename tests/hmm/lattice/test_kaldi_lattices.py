from __future__ import annotations

import gzip
import math
import struct
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from asr_hf.data.lattice import Lattice
from asr_hf.data.lattice_store import LatticeStore
from asr_hf.hmm.lattice.kaldi_lattices import checked_lattice, read_lattices
from asr_hf.runtime.errors import InputError
from asr_hf.stages import lattices as stage

from ...kaldi.experiments import make_alignment_folder, write_alignments, write_store
from ...typed import typed

# (state, arcs: (target, word, graph, acoustic, transition ids), final: (graph, acoustic, ids))
State = tuple[list[tuple[int, int, float, float, list[int]]], tuple[float, float, list[int]] | None]
TOY: list[State] = [
    ([(1, 7, 1.5, 20.0, [1, 2]), (2, 0, 0.5, 11.0, [3, 3, 4])], None),
    ([(2, 8, 0.25, 5.0, [5]), (3, 0, 0.125, -1.0, [])], None),
    ([], (2.0, 3.0, [6])),
    ([(4, 9, 0.0, 7.0, [9, 10])], None),
    ([], (1.0, 0.0, [])),
]
# Every reading: transition ids, words, graph and acoustic score in all.
PATHS = sorted(
    [
        ([1, 2, 5, 6], [7, 8], -3.75, -28.0),
        ([3, 3, 4, 6], [], -2.5, -14.0),
        ([1, 2, 9, 10], [7, 9], -2.625, -26.0),
    ]
)


def binary(states: list[State]) -> bytes:
    out = struct.pack("<i", 2125659606)
    for name in (b"vector", b"compactlattice44"):
        out += struct.pack("<i", len(name)) + name
    arcs = sum(len(a) for a, _ in states)
    out += struct.pack("<iiQqqq", 2, 0, 3, 0, len(states), arcs)

    def weight(graph: float, acoustic: float, ids: list[int]) -> bytes:
        return struct.pack(f"<ffi{len(ids)}i", graph, acoustic, len(ids), *ids)

    for leaving, final in states:
        out += weight(*(final or (math.inf, math.inf, []))) + struct.pack("<q", len(leaving))
        for target, word, graph, acoustic, ids in leaving:
            out += struct.pack("<ii", word, word) + weight(graph, acoustic, ids)
            out += struct.pack("<i", target)
    return out


def text(states: list[State]) -> bytes:
    lines = [""]
    for number, (leaving, final) in enumerate(states):
        for target, word, graph, acoustic, ids in leaving:
            weight = f"{graph:g},{acoustic:g},{'_'.join(map(str, ids))}"
            lines.append(f"{number}\t{target}\t{word}\t{weight}")
        if final:
            lines.append(f"{number}\t{final[0]:g},{final[1]:g},{'_'.join(map(str, final[2]))}")
    return "\n".join([*lines, "", ""]).encode()


def write(path: Path, entries: dict[str, bytes]) -> Path:
    path.write_bytes(gzip.compress(b"".join(f"{k} ".encode() + v for k, v in entries.items())))
    return path


def paths(lattice: Lattice) -> list[tuple[list[int], list[int], float, float]]:
    """All readings, by walking."""
    found = []
    finals = {int(f["state"]): float(f["graph"]) for f in lattice.finals}

    def walk(state: int, ids: list[int], words: list[int], g: float, a: float) -> None:
        if state in finals:
            found.append((ids, words, g + finals[state], a))
        for arc in lattice.arcs[lattice.arcs["source"] == state]:
            walk(
                int(arc["target"]),
                ids + [int(arc["label"])] * int(arc["label"] > 0),
                words + [int(arc["word"])] * int(arc["word"] > 0),
                g + float(arc["graph"]),
                a + float(arc["acoustic"]),
            )

    walk(0, [], [], 0.0, 0.0)
    return sorted(found)


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


def test_phones_that_share_pdfs_are_taken_from_the_alignments(
    tmp_path: Path, real: SimpleNamespace
) -> None:
    from asr_hf.hmm.kaldi import kaldi_hmm_gmm as khg

    topology = real.topology
    tree = khg.monophone_context_dependency_shared(
        [[1], [2, 3]], topology.get_phone_to_num_pdf_classes()
    )
    shared = SimpleNamespace(tree=tree, transitions=khg.TransitionModel(tree, topology))
    folder = make_alignment_folder(tmp_path / "exp/denlats", shared, True)
    corpus = tmp_path / "data/kaldi"
    write_store(corpus / "store/train", {"u1": 4, "u2": 4}, pdfs=shared.transitions.num_pdfs)
    write(folder / "lat.1.gz", {"u1": binary(TOY)})
    write(folder / "lat.2.gz", {"u2": text(TOY)})
    options = {"from_kaldi": str(folder), "sets": ["train"], "tag": None, "max_skipped": 0.5}
    config = OmegaConf.create(
        {
            "corpus": {"dir": str(corpus)},
            "alignment": {"tag": None, "from_kaldi": None},
            "lattices": options | {"silence_phones": [1]},
        }
    )
    with pytest.raises(InputError, match="phones of the lattices' model share pdfs"):
        stage.run(typed(config))
    ali = make_alignment_folder(tmp_path / "exp/ali", shared, False)
    ids = {"u1": np.array([1, 2, 3, 4], np.int32), "u2": np.array([4, 13, 12, 1], np.int32)}
    write_alignments(ali, ids, 1, False)
    config.alignment.from_kaldi = str(ali)
    assert stage.run(typed(config))["train"]["utterances"] == 2
    store = LatticeStore.open(corpus / "lattices/train")
    for name, path in ids.items():
        phones = [shared.transitions.transition_id_to_phone(int(i)) for i in path]
        assert store.phones(name).tolist() == phones
    write_alignments(ali, {"u1": ids["u1"], "u2": ids["u2"][:3]}, 1, False)
    about = stage.run(typed(config))["train"]
    assert about["skipped"] == {"u2": "its alignment has 3 frames, its lattice 4"}


def test_lattices_of_a_set(tmp_path: Path, real: SimpleNamespace) -> None:
    folder = make_alignment_folder(tmp_path / "exp/denlats", real, True)
    corpus = tmp_path / "data/kaldi"
    write_store(corpus / "store/train", {"u1": 4, "u2": 4}, pdfs=6)
    write(folder / "lat.1.gz", {"u1": binary(TOY), "other": binary(TOY)})
    write(folder / "lat.2.gz", {"u2": text(TOY)})
    options = {"from_kaldi": str(folder), "sets": ["train"], "tag": None, "max_skipped": 0.4}
    config = OmegaConf.create(
        {
            "corpus": {"dir": str(corpus)},
            "alignment": {"tag": None},
            "lattices": options | {"silence_phones": [1]},
        }
    )
    assert stage.run(typed(config))["train"]["utterances"] == 2
    store = LatticeStore.open(corpus / "lattices/train")
    assert store.utterances == ["u1", "u2"] and store.silence_phones == [1]
    assert paths(store.lattice("u2")) == PATHS
    np.testing.assert_array_equal(
        store.pdf_of[1:], real.transitions.transition_id_to_pdf_array()[1:]
    )
    write(folder / "lat.2.gz", {"u2": b"\n0 1 5 1,1,99\n1 0,0,\n\n"})
    with pytest.raises(InputError, match=r"1 of 2 utterances had to be skipped:\s+u2: .*lat\.2"):
        stage.run(typed(config))
    write(folder / "lat.2.gz", {"u2": text(TOY)})
    (folder.parent / "phones.txt").write_text("<eps> 0\nSIL_B 1\na_S 2\nSIL_S 3\n#0 4\n")
    config.lattices.silence_phones = ["SIL"]
    stage.run(typed(config))
    assert LatticeStore.open(corpus / "lattices/train").silence_phones == [1, 3]
    config.lattices.silence_phones = [1, "SPN"]
    with pytest.raises(InputError, match=r"no phone 'SPN' in .*phones\.txt"):
        stage.run(typed(config))
    config.lattices.silence_phones = [4]
    with pytest.raises(InputError, match="4 is no phone"):
        stage.run(typed(config))
    config.lattices.silence_phones = None
    with pytest.raises(InputError, match=r"silence\.csl"):
        stage.run(typed(config))
