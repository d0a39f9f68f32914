from __future__ import annotations

import logging
import math
import os
import signal
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.runtime.checkpoint import (
    checkpoints,
    latest_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from asr_hf.runtime.errors import InputError, RunError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def save(folder, step, *, value=None, keep_last=2, best=False):
    tensors = {"theta": torch.full((5,), float(step))}
    return save_checkpoint(
        folder, step, tensors, {"step": step, "x": value}, keep_last=keep_last, best=best
    )


def same(a, b):
    """Equality that holds NaN equal to NaN and tells 0.0 from -0.0 and 1 from 1.0."""
    return repr(a) == repr(b)


@given(values=st.dictionaries(st.text(), JSON, max_size=4))
def test_values_come_back_exactly(values, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ckpt")
    path = save_checkpoint(folder, 1, {}, values, keep_last=1, best=False)
    assert same(load_checkpoint(path)[1], values)


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.float16, torch.int64, torch.int32, torch.bool]
)
@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 4)])
def test_tensors_come_back_bit_for_bit(tmp_path, dtype, shape):
    generator = torch.Generator().manual_seed(3)
    tensor = (torch.randn(shape, generator=generator, dtype=torch.float64) * 1e3).to(dtype)
    path = save_checkpoint(tmp_path, 1, {"t": tensor}, {}, keep_last=1, best=False)
    found = load_checkpoint(path)[0]["t"]
    assert found.dtype == dtype and found.shape == tensor.shape and torch.equal(found, tensor)


def test_nonfinite_and_subnormal_tensors_come_back_bit_for_bit(tmp_path):
    odd = torch.tensor([math.inf, -math.inf, math.nan, -0.0, 5e-324], dtype=torch.float64)
    path = save_checkpoint(tmp_path, 1, {"t": odd}, {}, keep_last=1, best=False)
    found = load_checkpoint(path)[0]["t"]
    assert torch.equal(found.view(torch.int64), odd.view(torch.int64))


def test_tensors_that_share_memory_or_are_strided_can_be_saved(tmp_path):
    flat = torch.arange(12.0)
    tensors = {"flat": flat, "again": flat, "view": flat[3:6], "strided": flat.view(3, 4).T}
    found = load_checkpoint(save_checkpoint(tmp_path, 1, tensors, {}, keep_last=1, best=False))[0]
    assert all(torch.equal(found[name], tensors[name]) for name in tensors)


def test_the_newest_and_the_newest_best_stay(tmp_path):
    for step in range(1, 8):
        save(tmp_path, step, best=step in (2, 3))
    assert [p.name for p in checkpoints(tmp_path)] == [
        "best-000003.ckpt",
        "step-000006.ckpt",
        "step-000007.ckpt",
    ]


def test_nothing_is_found_in_a_new_folder(tmp_path):
    assert latest_checkpoint(tmp_path / "none") is None


@given(position=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit_is_noticed(position, bit, tmp_path_factory):
    path = save(tmp_path_factory.mktemp("ckpt"), 4)
    raw = bytearray(path.read_bytes())
    raw[int(position * len(raw))] ^= 1 << bit
    path.write_bytes(raw)
    with pytest.raises(InputError, match="damaged"):
        load_checkpoint(path)


@given(share=st.floats(0, 1, exclude_max=True))
def test_a_torn_checkpoint_is_skipped_for_the_one_before(share, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ckpt")
    save(folder, 1)
    torn = save(folder, 2)
    raw = torn.read_bytes()
    torn.write_bytes(raw[: int(share * len(raw))])
    path, tensors, values = latest_checkpoint(folder)
    assert path.name == "step-000001.ckpt"
    assert values["step"] == 1 and torch.equal(tensors["theta"], torch.ones(5))


def test_the_skipped_checkpoint_is_named_in_a_warning(tmp_path, caplog):
    save(tmp_path, 1)
    save(tmp_path, 2).write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        latest_checkpoint(tmp_path)
    assert "step-000002.ckpt" in caplog.text


def test_with_every_checkpoint_damaged_the_run_does_not_start_over_silently(tmp_path):
    for step in (1, 2):
        save(tmp_path, step).write_bytes(b"x")
    with pytest.raises(InputError, match="every checkpoint is damaged"):
        latest_checkpoint(tmp_path)


def test_a_failed_write_leaves_the_last_checkpoint_and_no_rubbish(tmp_path, monkeypatch):
    save(tmp_path, 1)

    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="No space left"):
        save(tmp_path, 2)
    assert [p.name for p in tmp_path.iterdir()] == ["step-000001.ckpt"]
    assert latest_checkpoint(tmp_path)[2]["step"] == 1


WRITER = """
import sys, torch
from pathlib import Path
from asr_hf.runtime.checkpoint import save_checkpoint
for step in range(1, 100000):
    theta = torch.full((200_000,), float(step))
    save_checkpoint(Path(sys.argv[1]), step, {"theta": theta}, {}, keep_last=2, best=False)
    print(step, flush=True)
"""


def test_after_kill_9_while_writing_the_newest_whole_checkpoint_is_found(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        done = [int(process.stdout.readline()) for _ in range(20)][-1]
        process.send_signal(signal.SIGKILL)
    path, tensors, _ = latest_checkpoint(tmp_path)
    step = int(path.stem[-6:])
    assert step >= done
    assert torch.equal(tensors["theta"], torch.full((200_000,), float(step)))
