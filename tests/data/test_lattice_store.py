"""Lattices survive their store, and damage to it is named."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from asr_hf.data.lattice import ARC, FINAL, Lattice
from asr_hf.data.lattice_store import LatticeStore
from asr_hf.data.lattice_writer import LabelMap, write_lattices
from asr_hf.runtime.errors import InputError, RunError

LABELS = LabelMap(
    np.array([-1, 0, 1, 2], np.int32), np.array([0, 1, 1, 2], np.int32), silence_phones=[1]
)


def ladder(utterance: str, frames: int, seed: int) -> Lattice:
    """Two states a frame, all arcs between neighbours, an epsilon arc, random scores."""
    random = np.random.default_rng(seed)
    places = [0, *(f for f in range(1, frames + 1) for _ in range(2))]
    arcs = [
        (s, t, int(random.integers(1, 4)), int(random.integers(0, 5)), *random.normal(size=2))
        for s in range(len(places))
        for t in range(len(places))
        if places[t] == places[s] + 1
    ]
    arcs.append((2 * frames - 1, 2 * frames, 0, 0, -0.5, 0.0))
    arcs.sort(key=lambda arc: arc[:2])
    finals = np.array([(2 * frames - 1, -0.25), (2 * frames, 0.0)], FINAL)
    return Lattice(utterance, np.array(arcs, ARC), np.array(places, np.int32), finals)


@pytest.fixture
def lattices() -> list[Lattice]:
    return [ladder("b-long", 9, 0), ladder("a-one-frame", 1, 1), ladder("ü", 4, 2)]


@pytest.fixture
def folder(tmp_path: Path, lattices: list[Lattice]) -> Path:
    write_lattices(tmp_path / "train", lattices, LABELS, {"origin": "x", "statistics": {"n": 3}})
    return tmp_path / "train"


def test_phones_of_transcripts_come_back_and_damage_to_them_is_seen(tmp_path, lattices):
    said = {
        x.utterance: np.arange(x.num_frames, dtype=np.int32) + n for n, x in enumerate(lattices)
    }
    write_lattices(tmp_path / "train", lattices, LABELS, {}, said)
    store = LatticeStore.open(tmp_path / "train")
    assert store.has_phones
    for lattice in lattices:
        assert same(store.lattice(lattice.utterance), lattice)
        np.testing.assert_array_equal(store.phones(lattice.utterance), said[lattice.utterance])
    path = tmp_path / "train" / "phones.bin"
    content = bytearray(path.read_bytes())
    content[-1] ^= 4
    path.write_bytes(bytes(content))
    damaged = LatticeStore.open(tmp_path / "train")
    damaged.phones("b-long")
    for read in (damaged.phones, damaged.lattice):
        with pytest.raises(InputError, match="ü"):
            read("ü")
    path.write_bytes(bytes(content[:-4]))
    with pytest.raises(InputError, match=r"phones\.bin"):
        LatticeStore.open(tmp_path / "train")


def same(one: Lattice, other: Lattice) -> bool:
    pairs = ((one.arcs, other.arcs), (one.frame_of, other.frame_of), (one.finals, other.finals))
    return one.utterance == other.utterance and all(
        a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs
    )


def test_every_lattice_comes_back_in_the_order_written(folder, lattices):
    store = LatticeStore.open(folder)
    assert store.utterances == ["b-long", "a-one-frame", "ü"]
    assert all(same(store.lattice(x.utterance), x) for x in lattices)
    assert [store.num_frames(u) for u in store.utterances] == [9, 1, 4]
    assert "ü" in store and "u" not in store
    assert store.silence_phones == [1]
    np.testing.assert_array_equal(store.pdf_of, LABELS.pdf_of)
    np.testing.assert_array_equal(store.phone_of, LABELS.phone_of)
    assert store.about["frames"] == 14 and store.about["origin"] == "x"
    assert store.about["arcs"] == sum(len(x.arcs) for x in lattices)


def test_pieces_of_utterances_come_back_in_their_order(tmp_path):
    given = [ladder("a", 3, 0), ladder("a", 4, 1), ladder("b", 2, 2), ladder("c", 1, 3)]
    write_lattices(tmp_path / "train", given, LABELS, {"pieces": True})
    store = LatticeStore.open(tmp_path / "train")
    assert store.utterances == ["a", "b", "c"]
    assert [store.num_frames(name) for name in store.utterances] == [7, 2, 1]
    found = [lattice for name in store.utterances for lattice in store.pieces(name)]
    assert all(map(same, found, given)) and len(found) == 4
    assert list(store.check()) == [7, 2, 1]


@pytest.mark.parametrize(("names", "about"), [("aab", {}), ("aba", {"pieces": True})])
def test_lattices_of_one_utterance_stand_together_and_are_called_pieces(tmp_path, names, about):
    given = [ladder(name, 2, seed) for seed, name in enumerate(names)]
    write_lattices(tmp_path / "train", given, LABELS, about)
    with pytest.raises(InputError, match="3 lines, 2 of them different"):
        touch(LatticeStore.open(tmp_path / "train"))


def test_lattices_cannot_be_written(folder):
    lattice = LatticeStore.open(folder).lattice("b-long")
    for array in (lattice.arcs, lattice.frame_of, lattice.finals):
        assert not array.flags.writeable


def test_a_store_without_lattices_is_opened(tmp_path):
    write_lattices(tmp_path / "none", [], LABELS, {})
    assert LatticeStore.open(tmp_path / "none").utterances == []


def test_a_failed_write_leaves_the_store_that_was_there(folder, lattices):
    def failing():
        yield lattices[0]
        raise RunError("stopped")

    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(RunError):
        write_lattices(folder, failing(), LABELS, {})
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in folder.parent.iterdir()] == ["train"]


FILES = ("arcs.bin", "states.bin", "finals.bin", "offsets.npy", "frames.npy", "pdf_of.npy")


def touch(store: LatticeStore) -> None:
    for utterance in store.utterances:
        store.lattice(utterance)


@pytest.mark.parametrize("name", [*FILES, "phone_of.npy", "utterances.txt", "lattices.json"])
@pytest.mark.parametrize("kept", [None, 0, 0.6])
def test_a_missing_or_truncated_file_is_named(folder, name, kept):
    path = folder / name
    if kept is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(InputError) as caught:
        touch(LatticeStore.open(folder))
    assert name in str(caught.value)


@pytest.mark.parametrize("name", FILES)
def test_a_file_of_another_store_is_named(folder, tmp_path, name):
    labels = LabelMap(LABELS.pdf_of[:3], LABELS.phone_of[:3], [1])
    write_lattices(tmp_path / "other", [ladder("x", 5, 3)], labels, {})
    (folder / name).write_bytes((tmp_path / "other" / name).read_bytes())
    with pytest.raises(InputError, match=name):
        LatticeStore.open(folder)


def test_pickled_arrays_are_not_read(folder):
    np.save(folder / "offsets.npy", np.array([[object()]]), allow_pickle=True)
    with pytest.raises(InputError, match=r"offsets\.npy"):
        LatticeStore.open(folder)


def test_another_format_is_refused(folder):
    about = json.loads((folder / "lattices.json").read_text())
    (folder / "lattices.json").write_text(json.dumps(about | {"format": "asr-hf-lattices-0"}))
    with pytest.raises(InputError, match="asr-hf-lattices-0"):
        LatticeStore.open(folder)


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [("target", 99, "out of range"), ("label", 4, "transition id"), ("graph", np.nan, "finite")],
)
def test_a_damaged_arc_is_found_in_its_own_utterance_only(
    folder, unsealed, lattices, field, value, complaint
):
    unsealed(folder, "lattices.json")
    arcs = np.fromfile(folder / "arcs.bin", ARC)
    arcs[field][len(lattices[0].arcs)] = value
    arcs.tofile(folder / "arcs.bin")
    store = LatticeStore.open(folder)
    assert same(store.lattice("b-long"), lattices[0])
    for _ in range(2):
        with pytest.raises(InputError, match=f"a-one-frame.*{complaint}"):
            store.lattice("a-one-frame")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bit_is_noticed_when_the_lattices_are_used(tmp_path, lattices, data):
    folder = tmp_path / "flipped"
    about = write_lattices(folder, lattices, LABELS, {"origin": "x"})
    assert sum(LatticeStore.open(folder).check()) == about["frames"]
    path = data.draw(st.sampled_from(sorted(folder.iterdir())))
    raw = bytearray(path.read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(raw)
    with suppress(ValueError):
        # White space of a description may change, and the case of an escape.
        assume(path.suffix != ".json" or json.loads(raw) != about)
    with pytest.raises(InputError, match="flipped"):
        list(LatticeStore.open(folder).check())


def test_a_flipped_score_names_the_utterance_that_reads_it(folder, lattices):
    """Which no look at the lattice's structure can find."""
    arcs = np.fromfile(folder / "arcs.bin", ARC)
    arcs["graph"][len(lattices[0].arcs)] += 0.5
    arcs.tofile(folder / "arcs.bin")
    store = LatticeStore.open(folder)
    assert same(store.lattice("b-long"), lattices[0])
    with pytest.raises(InputError, match="utterance a-one-frame: damaged"):
        store.lattice("a-one-frame")


def test_lattices_swapped_by_their_names_are_found(folder, unsealed):
    unsealed(folder, "lattices.json")
    (folder / "utterances.txt").write_text("a-one-frame\nb-long\nü\n")
    np.save(folder / "frames.npy", np.array([1, 9, 4], np.int32))
    with pytest.raises(InputError, match=r"9 frames"):
        LatticeStore.open(folder).lattice("a-one-frame")


def test_an_utterance_without_a_lattice_is_named(folder):
    for ask in (LatticeStore.open(folder).lattice, LatticeStore.open(folder).num_frames):
        with pytest.raises(InputError, match="nobody"):
            ask("nobody")
