"""Files that somebody has put in the way, or made to do harm."""

from __future__ import annotations

import gzip
import os
import resource
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from asr_hf.data.alignment import Alignments
from asr_hf.data.ark import read_ark
from asr_hf.kaldi.integer_table import read_integer_table
from asr_hf.kaldi.reader import file_contents
from asr_hf.runtime.errors import InputError, RunError
from asr_hf.runtime.files import atomic_path, replaced_folder, sweep, write_json, write_text
from asr_hf.runtime.unzip import max_unzipped


@pytest.fixture
def precious(tmp_path) -> Path:
    path = tmp_path / "precious"
    path.write_text("mine")
    return path


def test_names_of_temporary_files_cannot_be_guessed(tmp_path):
    names = set()
    for _ in range(20):
        with atomic_path(tmp_path / "a") as temporary:
            names.add(temporary.name)
    assert len(names) == 20 and not any(str(os.getpid()) in n.split(".") for n in names)


def test_a_link_at_the_temporary_name_is_not_followed(tmp_path, precious, monkeypatch):
    """As if it had been guessed all the same: the first name is taken, by a link."""
    monkeypatch.setattr("secrets.token_hex", lambda size: "0" * 2 * size)
    (tmp_path / ".a.0000000000000000.tmp").symlink_to(precious)
    with pytest.raises(RunError, match="File exists"):
        write_text(tmp_path / "a", "theirs")
    assert precious.read_text() == "mine"


def test_a_link_at_the_temporary_name_of_a_folder_is_not_followed(tmp_path, monkeypatch):
    (elsewhere := tmp_path / "elsewhere").mkdir()
    monkeypatch.setattr("secrets.token_hex", lambda size: "0" * 2 * size)
    (tmp_path / ".store.0000000000000000.tmp").symlink_to(elsewhere)
    with pytest.raises(RunError, match="File exists"), replaced_folder(tmp_path / "store"):
        pass
    assert list(elsewhere.iterdir()) == []


def test_a_link_that_replaces_the_temporary_file_is_not_followed(tmp_path, precious):
    with (
        pytest.raises(RunError, match="Too many levels of symbolic links"),
        atomic_path(tmp_path / "a") as temporary,
    ):
        temporary.unlink()
        temporary.symlink_to(precious)
    assert not (tmp_path / "a").exists() and precious.read_text() == "mine"


def test_sweeping_follows_no_link(tmp_path, precious):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".a.0123456789abcdef.tmp").symlink_to(precious)
    (folder / ".b.0123456789abcdef.old").symlink_to(tmp_path)
    sweep(folder)
    assert precious.read_text() == "mine" and folder.is_dir()


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_modes_follow_the_umask_whatever_library_writes(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write_json(tmp_path / "plain", {})
        with atomic_path(tmp_path / "private") as temporary:
            # As safetensors does: a file of its own, readable by nobody else, takes its place.
            other = tmp_path / "other"
            other.touch(mode=0o600)
            os.replace(other, temporary)
        with atomic_path(tmp_path / "closed") as temporary:
            temporary.chmod(0o400)
        with replaced_folder(tmp_path / "folder") as part:
            write_json(part / "inside", {})
    finally:
        os.umask(before)
    for name in ("plain", "private", "closed", "folder/inside"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == mode, name
    assert stat.S_IMODE((tmp_path / "folder").stat().st_mode) == 0o777 & ~umask


def test_a_model_has_the_mode_of_the_files_beside_it(tmp_path):
    from safetensors.numpy import save_file

    with atomic_path(tmp_path / "model.safetensors") as temporary:
        save_file({"a": np.zeros(3, np.float32)}, temporary)
    write_json(tmp_path / "result.json", {})
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


def bomb(path: Path, piece: bytes, size: int) -> Path:
    """A gzipped file of `size` bytes."""
    with gzip.open(path, "wb") as file:
        for _ in range(size // len(piece)):
            file.write(piece)
    return path


READERS = {
    "kaldi": file_contents,
    "integers": lambda path: list(read_integer_table(path)),
    "ark": lambda path: list(read_ark(path)),
    "alignments": Alignments.from_kaldi,
}
PIECES = {
    "zeros": bytes(1 << 20),
    "blanks": b" " * (1 << 20),
    "one key": b"x" * (1 << 20),
    "lines": b"u 1 1 1 1\n" * 100_000,
}


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("reader", READERS)
def test_a_gzip_bomb_is_an_input_error_that_names_the_file(tmp_path, reader, piece):
    if (reader, piece) == ("ark", "lines"):
        pytest.skip("a valid archive, read entry by entry: only slow")
    path = bomb(tmp_path / "ali.1.gz", PIECES[piece], 100 << 20)
    with pytest.raises(InputError, match=r"ali\.1\.gz"):
        READERS[reader](path)


def test_a_bomb_takes_no_more_memory_than_the_limit(tmp_path):
    path = bomb(tmp_path / "ali.1.gz", bytes(1 << 20), 1 << 30)
    script = (
        "import sys; from pathlib import Path; from asr_hf.kaldi.reader import file_contents\n"
        "from asr_hf.runtime.errors import InputError\n"
        "try:\n    file_contents(Path(sys.argv[1]))\n"
        "except InputError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (700 << 20,) * 2),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "stand for more than" in done.stdout, done.stderr


def test_what_packs_as_real_alignments_do_is_read(tmp_path):
    random = np.random.default_rng(0)
    ids = np.repeat(random.integers(0, 3000, 100_000), random.integers(1, 20, 100_000))
    text = b"u " + b" ".join(b"%d" % i for i in ids) + b"\n"
    path = tmp_path / "ali.1.gz"
    path.write_bytes(gzip.compress(text))
    assert len(text) < max_unzipped(path.stat().st_size)
    assert file_contents(path) == text


def test_members_of_a_gzipped_file_are_read_one_after_another(tmp_path):
    path = tmp_path / "ali.1.gz"
    path.write_bytes(gzip.compress(b"a 1\n") + gzip.compress(b"b 2\n"))
    assert file_contents(path) == b"a 1\nb 2\n"


@pytest.mark.parametrize("cut", [1, 5, 12])
def test_a_gzipped_file_that_is_cut_short_is_named(tmp_path, cut):
    path = tmp_path / "ali.1.gz"
    path.write_bytes(gzip.compress(bytes(range(256)) * 10)[:-cut])
    with pytest.raises(InputError, match=r"ali\.1\.gz: cannot be read"):
        file_contents(path)
