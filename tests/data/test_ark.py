"""Archives: kaldiio as the oracle, corruption by name, nothing half-written."""

from __future__ import annotations

import gzip
import pickle

import kaldiio
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from asr_hf.data.ark import ArkReader, ArkWriter, read_ark
from asr_hf.runtime.errors import InputError, RunError

values = st.one_of(
    arrays.arrays(np.int32, st.integers(0, 30)),
    arrays.arrays(np.float32, st.tuples(st.integers(0, 9), st.integers(1, 4))),
    arrays.arrays(np.float64, st.tuples(st.just(2), st.integers(1, 4))),
)


@settings(max_examples=50)
@given(st.lists(values, min_size=1, max_size=4))
def test_kaldiio_and_we_read_what_either_writes(tmp_path_factory, matrices):
    folder = tmp_path_factory.mktemp("ark")
    entries = {f"utt-{i}": matrix for i, matrix in enumerate(matrices)}
    with ArkWriter(folder, "ours") as ark:
        for key, matrix in entries.items():
            ark.write(key, matrix)
    kaldiio.save_ark(str(folder / "theirs.ark"), entries, scp=str(folder / "theirs.scp"))
    assert (folder / "ours.ark").read_bytes() == (folder / "theirs.ark").read_bytes()
    for found in (
        ArkReader(folder / "theirs.scp"),
        dict(read_ark(folder / "theirs.ark")),
        kaldiio.load_scp(str(folder / "ours.scp")),
    ):
        assert list(found) == list(entries)
        for key, matrix in entries.items():
            np.testing.assert_array_equal(found[key], matrix)


@pytest.mark.parametrize("method", [1, 2, 3, 5])
def test_compressed_matrices_are_read(tmp_path, method):
    matrix = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32)
    scp = tmp_path / "a.scp"
    kaldiio.save_ark(
        str(tmp_path / "a.ark"), {"utt": matrix}, scp=str(scp), compression_method=method
    )
    np.testing.assert_allclose(ArkReader(scp)["utt"], matrix, atol=0.1)


def test_text_archives_are_read(tmp_path):
    kaldiio.save_ark(
        str(tmp_path / "a.ark"), {"utt": np.eye(3, dtype=np.float32)}, scp=str(tmp_path / "a.scp"),
        text=True,
    )  # fmt: skip
    np.testing.assert_array_equal(ArkReader(tmp_path / "a.scp")["utt"], np.eye(3))


@pytest.mark.parametrize("entry", ["touch WITNESS; cat a.ark |", "| touch WITNESS", "cat x|"])
def test_commands_in_an_index_are_refused(tmp_path, entry):
    witness = tmp_path / "ran"
    (tmp_path / "a.scp").write_text(f"utt {entry.replace('WITNESS', str(witness))}\n")
    with pytest.raises(InputError, match=r"a\.scp: utt: a command") as caught:
        ArkReader(tmp_path / "a.scp")
    assert caught.value.remedy
    assert not witness.exists()


def test_commands_run_when_they_are_allowed(tmp_path):
    matrix = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    kaldiio.save_mat(str(tmp_path / "a.mat"), matrix)
    commands = [f"cat {tmp_path}/a.mat |", "cat none.mat |", "true |", "echo nonsense |"]
    lines = [f"u{n} {command}\n" for n, command in enumerate(commands)]
    (tmp_path / "a.scp").write_text("".join(lines))
    reader = ArkReader(tmp_path / "a.scp", allow_pipes=True)
    np.testing.assert_array_equal(reader["u0"], matrix)
    for key, message in (("u1", "exit status 1"), ("u2", "0 bytes"), ("u3", "corrupt")):
        with pytest.raises(InputError) as caught:
            reader[key]
        assert key in str(caught.value) and message in str(caught.value)
    (tmp_path / "b.scp").write_text("u | cat\n")
    with pytest.raises(InputError, match="a command"):
        ArkReader(tmp_path / "b.scp", allow_pipes=True)


def one_matrix(folder, part):
    """A matrix, and an index that means a part of it."""
    matrix = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    kaldiio.save_ark(str(folder / "m.ark"), {"utt": matrix}, scp=str(folder / "m.scp"))
    (folder / "m.scp").write_text((folder / "m.scp").read_text().strip() + part + "\n")
    return matrix


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        ("[2:4]", np.s_[2:5]),
        ("[0:0]", np.s_[:1]),
        ("[:]", np.s_[:]),
        ("[,1:2]", np.s_[:, 1:3]),
        ("[3:5,0:0]", np.s_[3:6, :1]),
        ("[:,:]", np.s_[:]),
    ],
)
def test_ranges_count_their_last_row_and_column(tmp_path, part, wanted):
    matrix = one_matrix(tmp_path, part)
    np.testing.assert_array_equal(ArkReader(tmp_path / "m.scp")["utt"], matrix[wanted])


@pytest.mark.parametrize("part", ["[4:6]", "[4:7]", "[4:8]", "[5:8,0:1]"])
def test_ranges_up_to_three_rows_too_long_are_cut_and_said_once(tmp_path, caplog, part):
    matrix = one_matrix(tmp_path, part)
    reader = ArkReader(tmp_path / "m.scp")
    for _ in range(2):
        columns = slice(0, 2) if "," in part else slice(None)
        np.testing.assert_array_equal(reader["utt"], matrix[int(part[1]) :, columns])
    assert caplog.text.count("its range ends") == 1


@pytest.mark.parametrize("part", ["[4:9]", "[6:]", "[6:7]", "[,0:4]", "[5:9,0:1]"])
def test_ranges_that_lead_out_of_a_matrix_are_named(tmp_path, part):
    one_matrix(tmp_path, part)
    with pytest.raises(InputError, match="utt"):
        ArkReader(tmp_path / "m.scp")["utt"]


def test_malformed_ranges_are_refused(tmp_path):
    for part in ("[a:b]", "[1:2,3:4,5:6]", "[-1:2]", "[1]"):
        (tmp_path / "a.scp").write_text(f"utt {tmp_path}/a.ark:4{part}\n")
        with pytest.raises(InputError, match=r"(?s)a\.scp: utt: .*range of rows"):
            ArkReader(tmp_path / "a.scp")


def test_pickled_objects_in_an_archive_are_never_loaded(tmp_path):
    witness = tmp_path / "ran"

    class Bad:
        def __reduce__(self):
            return (open, (str(witness), "w"))

    (tmp_path / "a.ark").write_bytes(b"utt PKL" + pickle.dumps(Bad()))
    (tmp_path / "a.scp").write_text(f"utt {tmp_path}/a.ark:4\n")
    with pytest.raises(InputError, match="corrupt archive at utt"):
        ArkReader(tmp_path / "a.scp")["utt"]
    with pytest.raises(InputError, match="corrupt"):
        list(read_ark(tmp_path / "a.ark"))
    assert not witness.exists()


def two_entries(folder, second: np.ndarray):
    with ArkWriter(folder, "a") as ark:
        ark.write("good", np.ones((4, 3), np.float32))
        ark.write("torn", second)
    return folder / "a.ark"


@pytest.mark.parametrize(
    "value",
    [
        np.ones((4, 3), np.float32),
        np.ones(8, np.float32),
        np.ones(8, np.float64),
        np.arange(8, dtype=np.int32),
    ],
    ids=["matrix", "vector", "double-vector", "integers"],
)
@pytest.mark.parametrize("cut", [1, 4, 8, 20])
def test_truncated_archives_name_the_utterance(tmp_path, value, cut):
    ark = two_entries(tmp_path, value)
    ark.write_bytes(ark.read_bytes()[:-cut])
    reader = ArkReader(tmp_path / "a.scp")
    assert reader["good"].shape == (4, 3)
    with pytest.raises(InputError, match=r"a\.ark:\d+: corrupt archive at torn") as caught:
        reader["torn"]
    assert caught.value.remedy
    with pytest.raises(InputError, match="corrupt after utterance good"):
        list(read_ark(ark))


@given(st.data())
def test_no_damage_to_an_archive_escapes_as_another_error(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("ark")
    ark = two_entries(folder, np.arange(5, dtype=np.int32))
    raw = bytearray(ark.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    ark.write_bytes(raw)
    reader = ArkReader(folder / "a.scp")
    for read in (lambda: reader["good"], lambda: reader["torn"], lambda: list(read_ark(ark))):
        try:
            read()
        except InputError as error:
            assert str(ark) in str(error)


def test_missing_archive_and_index(tmp_path):
    ark = two_entries(tmp_path, np.ones((1, 1), np.float32))
    ark.unlink()
    with pytest.raises(InputError, match=r"a\.ark: cannot be read .*torn"):
        ArkReader(tmp_path / "a.scp")["torn"]
    with pytest.raises(InputError, match=r"b\.scp"):
        ArkReader(tmp_path / "b.scp")


def test_gzipped_archives_are_read_and_torn_ones_refused(tmp_path):
    ark = two_entries(tmp_path, np.arange(500, dtype=np.int32))
    zipped = gzip.compress(ark.read_bytes())
    (tmp_path / "a.gz").write_bytes(zipped)
    assert dict(read_ark(tmp_path / "a.gz"))["torn"].tolist() == list(range(500))
    (tmp_path / "a.gz").write_bytes(zipped[:-30])
    with pytest.raises(InputError, match=r"a\.gz"):
        list(read_ark(tmp_path / "a.gz"))


def two_checked(folder):
    with ArkWriter(folder, "a") as ark:
        ark.write("one", np.arange(12, dtype=np.float32).reshape(4, 3))
        ark.write("two", np.arange(9, dtype=np.int32))
    return sorted(folder.glob("a.*"))


def everything(folder):
    reader = ArkReader(folder / "a.scp")
    return {key: reader[key] for key in reader}


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_flipped_bit_of_our_own_archive_is_noticed(tmp_path, data):
    """But for those of the keys inside the archive, which nobody reads, and of blanks."""
    path = data.draw(st.sampled_from(two_checked(tmp_path)))
    before = everything(tmp_path)
    raw = bytearray(path.read_bytes())
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(raw)
    try:
        after = everything(tmp_path)
    except InputError as error:
        assert str(tmp_path) in str(error)
        return
    assert after.keys() == before.keys()
    assert all(np.array_equal(after[key], before[key]) for key in before)


def test_a_flipped_number_names_the_archive_and_the_utterance(tmp_path):
    """kaldiio reads it as another number."""
    ark = two_checked(tmp_path)[0]
    raw = bytearray(ark.read_bytes())
    raw[-1] ^= 1
    ark.write_bytes(raw)
    reader = ArkReader(tmp_path / "a.scp")
    assert reader["one"].shape == (4, 3)
    with pytest.raises(InputError, match=r"a\.ark:\d+: two: damaged"):
        reader["two"]
    (tmp_path / "a.crc").unlink()
    assert len(ArkReader(tmp_path / "a.scp")["two"]) == 9


def test_a_failed_block_leaves_the_old_archive(tmp_path, files_in):
    two_entries(tmp_path, np.ones((2, 2), np.float32))
    before = (tmp_path / "a.ark").read_bytes(), files_in(tmp_path)
    with pytest.raises(KeyError), ArkWriter(tmp_path, "a") as ark:
        ark.write("new", np.zeros((2, 2), np.float32))
        raise KeyError
    assert ((tmp_path / "a.ark").read_bytes(), files_in(tmp_path)) == before


@pytest.mark.parametrize("size", [100, 100_000])
def test_a_full_disk_leaves_nothing(tmp_path, files_in, file_size_limit, size):
    """Small values fail when the file is closed, large ones at once."""
    with (
        file_size_limit(50),
        pytest.raises(RunError, match=r"x\.ark: cannot be written") as caught,
        ArkWriter(tmp_path, "x") as ark,
    ):
        ark.write("utt", np.zeros((size, 1), np.float32))
    assert "free space" in caught.value.remedy
    assert files_in(tmp_path) == []


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be written"), ArkWriter(tmp_path / "file", "x"):
        pass


def test_an_utterance_is_written_once(tmp_path):
    with pytest.raises(ValueError, match="utt"), ArkWriter(tmp_path, "x") as ark:
        ark.write("utt", np.zeros(3, np.int32))
        ark.write("utt", np.zeros(3, np.int32))


def test_an_old_index_never_points_into_a_new_archive(tmp_path, monkeypatch):
    two_entries(tmp_path, np.ones((2, 2), np.float32))

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("asr_hf.data.ark.write_table", interrupted)
    with pytest.raises(KeyboardInterrupt):
        two_entries(tmp_path, np.zeros((3, 3), np.float32))
    with pytest.raises(InputError, match=r"a\.scp"):
        ArkReader(tmp_path / "a.scp")
