"""The frame store: what is packed is what the archives hold; opening reads nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from asr_hf.data.alignment import Alignments
from asr_hf.data.ark import ArkReader, ArkWriter
from asr_hf.data.cmvn import apply_cmvn, cmvn_stats
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.store import FrameStore
from asr_hf.data.store_writer import build_store
from asr_hf.runtime.errors import InputError, RunError
from asr_hf.runtime.files import read_json, write_json

CPU = torch.device("cpu")
LENGTHS = {"a-1": 5, "a-2": 1, "b-1": 9, "b-2": 3, "c-1": 4}


def matrices(seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {u: random.normal(2, 3, (n, 4)).astype(np.float32) for u, n in LENGTHS.items()}


def labels(num_pdfs: int = 11) -> Alignments:
    random = np.random.default_rng(1)
    pdfs = {u: random.integers(0, num_pdfs, n).astype(np.int32) for u, n in LENGTHS.items()}
    return Alignments(pdfs, num_pdfs)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A store of speaker-normalised features, and the arks they came from."""
    folder = tmp_path_factory.mktemp("packed")
    raw, alignments = matrices(), labels()
    stats = {}
    with ArkWriter(folder / "fbank", "feats") as ark:
        for u, matrix in raw.items():
            ark.write(u, matrix)
            stats[f"speaker-{u[0]}"] = stats.get(f"speaker-{u[0]}", 0) + cmvn_stats(matrix)
    with ArkWriter(folder / "fbank", "cmvn") as ark:
        for speaker, value in stats.items():
            ark.write(speaker, value)
    write_json(folder / "fbank" / "fbank.json", {"cmvn": "speaker"})
    alignments.write(folder / "ali")
    return folder


def build(packed, bare_data, dtype):
    folder = packed / f"store-{dtype}"
    if not folder.exists():
        build_store(
            folder, bare_data(list(LENGTHS)), packed / "fbank", Alignments.read(packed / "ali"),
            dtype,
        )  # fmt: skip
    return FrameStore.open(folder)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@given(units=st.lists(st.integers(0, len(LENGTHS) - 1), max_size=8))
def test_gathered_frames_are_those_of_the_arks(packed, bare_data, dtype, units):
    store = build(packed, bare_data, dtype)
    fbank, cmvn = ArkReader(packed / "fbank/feats.scp"), ArkReader(packed / "fbank/cmvn.scp")
    ali = ArkReader(packed / "ali/ali.scp")
    batch = store.gather(np.array(units, dtype=np.int64), CPU)
    assert batch.features.dtype == getattr(torch, dtype)
    assert batch.labels.dtype == torch.int64
    position = 0
    for unit in units:
        name, speaker = store.utterances[unit], store.speakers[unit]
        assert speaker == f"speaker-{name[0]}"
        wanted = apply_cmvn(fbank[name], cmvn[speaker]).astype(dtype)
        piece = slice(position, position + len(wanted))
        np.testing.assert_array_equal(batch.features[piece].numpy(), wanted)
        np.testing.assert_array_equal(batch.labels[piece].numpy(), ali[name])
        assert batch.starts[piece].eq(position).all()
        position += len(wanted)
        assert batch.ends[piece].eq(position).all()
        assert store.num_frames_of(unit) == len(wanted)
    assert len(batch.features) == len(batch.labels) == position


def test_label_counts(packed, bare_data):
    every = np.concatenate(list(Alignments.read(packed / "ali").pdfs.values()))
    counts = build(packed, bare_data, "float16").label_counts()
    np.testing.assert_array_equal(counts, np.bincount(every, minlength=11))


def test_three_hundred_hours_open_without_being_read(tmp_path):
    lengths = np.random.default_rng(0).integers(100, 800, 250_000)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    frames = int(offsets[-1])
    assert frames > 300 * 3600 * 100
    np.save(tmp_path / "offsets.npy", offsets)
    for name, size in (("frames.bin", frames * 40 * 2), ("labels.bin", frames * 4)):
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, size)
    about = {
        "format": "asr-hf-store-1", "dim": 40, "dtype": "float16", "labelled": True,
        "num_pdfs": 9000, "frames": frames, "utterances": len(lengths),
    }  # fmt: skip
    write_json(tmp_path / "store.json", about)
    began = time.perf_counter()
    store = FrameStore.open(tmp_path)
    batch = store.gather(np.array([0, 249_999]), CPU)
    assert time.perf_counter() - began < 1
    assert store.num_frames == frames
    assert len(batch.features) == lengths[0] + lengths[-1]


@pytest.fixture
def small(tmp_path, bare_data, make_features):
    """A store, and a way to make it again with other features or alignments."""

    def make(alignments=None, raw=None, **options) -> FrameStore:
        raw = raw or matrices()
        fbank = make_features(tmp_path / "fbank", raw)
        data = bare_data(list(LENGTHS))
        build_store(tmp_path / "store", data, fbank, alignments, **options)
        return FrameStore.open(tmp_path / "store")

    return make


@pytest.mark.parametrize("name", ["frames.bin", "labels.bin", "offsets.npy"])
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_damaged_store_is_refused_with_its_remedy(small, name, damage):
    path = small(labels()).folder / name
    os.truncate(path, path.stat().st_size - 1) if damage == "cut" else path.unlink()
    with pytest.raises(InputError, match=name) as caught:
        FrameStore.open(path.parent)
    assert "asr-hf align" in caught.value.remedy


@pytest.mark.parametrize("name", ["utterances.txt", "speakers.txt"])
def test_lists_of_another_store_are_refused(small, unsealed, name):
    store = FrameStore.open(unsealed(small(labels()).folder))
    (store.folder / name).write_text("one\n")
    with pytest.raises(InputError, match=rf"{name}: 1 lines"):
        _ = store.utterances, store.speakers


def test_offsets_of_another_store_are_refused(small, unsealed):
    store = small(labels())
    unsealed(store.folder)
    np.save(store.folder / "offsets.npy", np.array([0, 5, 4, 15, 18, 22]))
    with pytest.raises(InputError, match=r"offsets\.npy"):
        FrameStore.open(store.folder)


def test_no_store_and_other_formats(tmp_path, small):
    with pytest.raises(InputError, match="no frame store") as caught:
        FrameStore.open(tmp_path / "nowhere")
    assert "asr-hf align" in caught.value.remedy
    folder = small().folder
    write_json(folder / "store.json", read_json(folder / "store.json") | {"format": "old"})
    with pytest.raises(InputError, match="format 'old'"):
        FrameStore.open(folder)


@pytest.mark.parametrize("label", [11, -1])
def test_a_label_in_the_store_that_is_no_pdf_names_utterance_and_frame(small, unsealed, label):
    store = small(labels())
    unsealed(store.folder)
    values = np.memmap(store.folder / "labels.bin", dtype=np.int32, mode="r+")
    values[5 + 1 + 3] = label
    values.flush()
    with pytest.raises(InputError, match=rf"utterance b-1: pdf {label} at frame 3"):
        FrameStore.open(store.folder).label_counts()


def flip(path: Path, at: int, bit: int = 0) -> None:
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1 << bit
    path.write_bytes(raw)


def use(folder: Path) -> None:
    """Whatever training and decoding read of a store."""
    store = FrameStore.open(folder)
    store.label_counts()
    for unit in range(store.num_units):
        store.gather(np.array([unit]), CPU)
    _ = store.utterances, store.speakers


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bit_of_a_store_is_noticed_when_it_is_used(small, data):
    store = small(labels())
    folder = store.folder
    use(folder)
    path = data.draw(st.sampled_from(sorted(folder.iterdir())))
    flip(path, data.draw(st.integers(0, path.stat().st_size - 1)), data.draw(st.integers(0, 7)))
    if path.name == "store.json":
        # White space may change, and the case of an escape.
        assume(json_or_none(path) != store.about)
    with pytest.raises(InputError, match="store"):
        use(folder)


def json_or_none(path: Path) -> object:
    try:
        return read_json(path)
    except InputError:
        return None


@pytest.mark.parametrize("name", ["frames.bin", "labels.bin"])
def test_a_flipped_bit_names_the_file_and_the_utterance_that_reads_it(small, name):
    store = small(labels())
    size = (store.folder / name).stat().st_size // store.num_frames
    flip(store.folder / name, size * int(store.offsets[2]))
    damaged = FrameStore.open(store.folder)
    damaged.gather(np.array([0, 1, 3]), CPU)
    with pytest.raises(InputError, match=rf"{name}: utterance {store.utterances[2]}: damaged"):
        damaged.gather(np.array([1, 2, 3]), CPU)


def test_damage_done_while_a_store_is_in_use_is_noticed_at_the_next_read(small):
    store = small(labels())
    store.gather(np.arange(store.num_units), CPU)
    flip(store.folder / "frames.bin", 0)
    with pytest.raises(InputError, match=rf"frames\.bin: utterance {store.utterances[0]}"):
        store.gather(np.arange(store.num_units), CPU)


def test_a_store_cut_short_while_in_use_is_an_error_and_not_the_end_of_the_process(small):
    store = small(labels())
    os.truncate(store.folder / "frames.bin", 16)
    with pytest.raises(InputError, match=r"frames\.bin: ends at byte 16"):
        store.gather(np.arange(store.num_units), CPU)


def test_a_store_that_is_removed_while_in_use_can_be_read_on(small):
    store = small(labels())
    before = store.gather(np.arange(store.num_units), CPU)
    for name in ("frames.bin", "labels.bin", "offsets.npy"):
        (store.folder / name).unlink()
    after = store.gather(np.arange(store.num_units), CPU)
    assert all(torch.equal(a, b) for a, b in zip(before.tensors, after.tensors, strict=True))


@pytest.mark.parametrize(
    ("key", "value"),
    [("dim", 0), ("dim", "4"), ("dim", 10**40), ("dtype", "object"), ("utterances", -1),
     ("labelled", 1), ("num_pdfs", None), ("utterances", True)],
)  # fmt: skip
def test_a_nonsensical_header_is_refused_by_its_key(small, unsealed, key, value):
    folder = unsealed(small(labels()).folder)
    write_json(folder / "store.json", read_json(folder / "store.json") | {key: value})
    with pytest.raises(InputError, match=rf"store\.json: {key} is"):
        FrameStore.open(folder)


def test_an_index_that_declares_terabytes_takes_no_memory(small, unsealed):
    folder = unsealed(small(labels()).folder)
    raw = (folder / "offsets.npy").read_bytes()
    huge = raw.replace(b"(6,), }" + b" " * 14, b"(600000000000,), }   ")
    assert len(huge) == len(raw) and huge != raw
    (folder / "offsets.npy").write_bytes(huge)
    with pytest.raises(InputError, match=r"offsets\.npy"):
        FrameStore.open(folder)


def test_the_whole_store_can_be_checked_without_training(small):
    store = small(labels())
    assert store.has_checksums and sum(store.check()) == store.num_frames
    flip(store.folder / "frames.bin", 3)
    with pytest.raises(InputError, match=r"frames\.bin: utterance"):
        list(FrameStore.open(store.folder).check())


def test_a_store_for_decoding_has_no_labels(small):
    store = small(None)
    assert len(store.gather(np.array([0, 2]), CPU).labels) == 0
    with pytest.raises(InputError, match="no labels"):
        store.label_counts()


@pytest.mark.parametrize("more", [-2, -1, 1, 2])
def test_lengths_that_differ_by_two_are_trimmed_and_counted(small, more):
    alignments = labels()
    longer = np.arange(LENGTHS["b-1"] + more, dtype=np.int32)
    alignments.pdfs["b-1"] = longer
    store = small(alignments)
    assert store.about["trimmed"] == 1
    batch = store.gather(np.array([store.utterances.index("b-1")]), CPU)
    assert len(batch.features) == len(batch.labels) == min(9, 9 + more)
    np.testing.assert_array_equal(batch.labels, longer[:9])
    np.testing.assert_array_equal(batch.features, matrices()["b-1"].astype(np.float16)[: 9 + more])


@pytest.mark.parametrize("more", [-3, 3])
def test_lengths_that_differ_by_more_are_skipped_with_both(small, more):
    alignments = labels()
    alignments.pdfs["b-1"] = np.zeros(9 + more, np.int32)
    store = small(alignments, max_skipped=0.2)
    reason = store.about["skipped"]["b-1"]
    assert "9 feature frames" in reason and f"{9 + more} aligned frames" in reason
    assert store.utterances == ["a-1", "a-2", "b-2", "c-1"]
    with pytest.raises(InputError, match=r"1 of 5 utterances.*\n.*b-1: 9 feature") as caught:
        small(alignments, max_skipped=0.1)
    assert "max_skipped" in caught.value.remedy


def test_utterances_without_alignment_or_features_are_skipped_by_name(small, bare_data, tmp_path):
    alignments, raw = labels(), matrices()
    del alignments.pdfs["a-1"], raw["c-1"]
    alignments.pdfs["b-2"] = np.zeros(0, np.int32)
    skipped = small(alignments, raw, max_skipped=0.7).about["skipped"]
    assert skipped["a-1"] == skipped["b-2"] == "no alignment"
    assert skipped["c-1"].startswith("no features in ")
    assert len(skipped) == 3


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_not_finite_are_refused_by_name(small, files_in, value, tmp_path):
    raw = matrices()
    raw["b-1"][4, 2] = value
    with pytest.raises(InputError, match=r"utterance b-1: value (nan|inf) in frame 4, dimension 2"):
        small(labels(), raw)
    assert "store" not in {name.split("/")[0].strip(".") for name in files_in(tmp_path)}


def test_features_beyond_float16_are_refused_and_fit_float32(small):
    raw = matrices()
    raw["b-2"][0, 0] = 70_000
    with pytest.raises(InputError, match=r"b-2: value 70000 in frame 0") as caught:
        small(labels(), raw)
    assert "float32" in caught.value.remedy
    assert small(labels(), raw, dtype="float32").gather(np.array([3]), CPU).features.max() == 70_000


def test_dimensions_that_differ_are_refused_by_name(small):
    raw = matrices()
    raw["b-2"] = raw["b-2"][:, :3]
    with pytest.raises(InputError, match=r"b-2: features of 3 dimensions") as caught:
        small(labels(), raw)
    assert caught.value.expected.startswith("4")


def test_a_store_of_nothing_is_refused(tmp_path, make_features):
    fbank = make_features(tmp_path / "fbank", matrices())
    with pytest.raises(InputError, match="no utterance to pack"):
        build_store(tmp_path / "store", DataDir(Path("empty"), [], {}), fbank, None)


def test_a_full_disk_leaves_the_old_store(
    small, files_in, file_size_limit, tmp_path, bare_data, make_features
):
    store = small(labels())
    large = {u: np.ones((n * 200, 4), np.float32) for u, n in LENGTHS.items()}
    fbank = make_features(tmp_path / "fbank", large)
    before = files_in(tmp_path)
    with file_size_limit(20_000), pytest.raises(RunError, match="cannot be written") as caught:
        build_store(store.folder, bare_data(list(LENGTHS)), fbank, None)
    assert "free space" in caught.value.remedy
    assert files_in(tmp_path) == before
    assert FrameStore.open(store.folder).num_frames == sum(LENGTHS.values())


def test_a_place_that_cannot_be_written_to(tmp_path, bare_data, make_features):
    fbank = make_features(tmp_path / "fbank", matrices())
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be written"):
        build_store(tmp_path / "file" / "store", bare_data(list(LENGTHS)), fbank, None)
