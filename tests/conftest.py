"""Settings of every test: one thread, exact failures from hypothesis."""

from __future__ import annotations

import gc

import pytest
import torch
from hypothesis import settings

from . import composed, unsynced
from .command import asr_hf, command, corpus
from .kaldi.experiments import real, s5

# Fixtures that several rooms share.
__all__ = ["asr_hf", "command", "corpus", "real", "s5"]

torch.set_num_threads(1)
# Shared machines stall; a test is slow only by its time limit.
settings.register_profile("asr-hf", deadline=None, derandomize=True)
settings.load_profile("asr-hf")
# Hydra takes a tenth of a second, and there are thousands.
composed.use()
# A disk takes ten milliseconds, and a command waits twenty times.
unsynced.use()


# What trains on real speech, minutes each: begun last, these would keep one of two workers waiting.
_LONG = ("test_real_speech.py", "test_messy_corpus.py", "test_pages.py", "test_data_directories.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests."""
    items.sort(key=lambda item: item.path.name not in _LONG)


def pytest_collection_finish() -> None:
    """Spare collections of garbage the half million objects of what has been imported."""
    gc.collect()
    gc.freeze()
