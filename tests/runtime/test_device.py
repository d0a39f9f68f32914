from __future__ import annotations

import numpy as np
import pytest
import torch

from asr_hf.runtime.device import choose_device, seed_everything
from asr_hf.runtime.errors import InputError


def test_cpu_is_always_there():
    assert choose_device("cpu") == torch.device("cpu")


def test_auto_takes_what_there_is():
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("wanted", ["", "gpu", "CPU", "cuda:", "cuda:-1", "cuda:x", "meta", "mps"])
def test_what_is_no_device_is_refused(wanted):
    with pytest.raises(InputError, match="no device"):
        choose_device(wanted)


@pytest.mark.parametrize("wanted", ["cuda", "cuda:0", "cuda:1"])
def test_a_gpu_that_is_not_there_is_refused(wanted, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(InputError, match="0 CUDA devices"):
        choose_device(wanted)


def test_an_index_beyond_the_last_gpu_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(InputError, match="2 CUDA devices"):
        choose_device("cuda:2")


def test_threads_are_set_and_none_is_refused():
    choose_device("cpu", threads=1)
    assert torch.get_num_threads() == 1
    with pytest.raises(InputError, match=r"runtime\.threads=0"):
        choose_device("cpu", threads=0)


def test_a_seed_fixes_every_generator():
    draws = []
    for _ in range(2):
        seed_everything(2**40 + 3)
        draws.append((torch.rand(3).tolist(), np.random.rand(3).tolist()))
    assert draws[0] == draws[1]
    seed_everything(4)
    assert torch.rand(3).tolist() != draws[0][0]
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(False)
