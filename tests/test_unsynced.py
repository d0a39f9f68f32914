"""What cannot be flushed is refused as by the system."""

from __future__ import annotations

import os

import pytest

from . import unsynced


@pytest.mark.parametrize("flush", [unsynced.unsynced, unsynced._fsync])
def test_files_and_folders_can_be_flushed_and_nothing_else(tmp_path, flush):
    with open(tmp_path / "file", "wb") as file:
        flush(file)
    with pytest.raises(ValueError):
        flush(file)
    folder = os.open(tmp_path, os.O_RDONLY)
    flush(folder)
    os.close(folder)
    with pytest.raises(OSError):
        flush(folder)
    pipe = os.pipe()
    for end in pipe:
        with pytest.raises(OSError):
            flush(end)
        os.close(end)
