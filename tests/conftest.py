"""Settings of every test: one thread, exact failures from hypothesis."""

from __future__ import annotations

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
# Shared machines stall; a test is slow only by its time limit.
settings.register_profile("asr-hf", deadline=None, derandomize=True)
settings.load_profile("asr-hf")


# What trains on real speech, minutes each: begun last, these would keep one of two workers waiting.
_LONG = ("test_real_speech.py", "test_messy_corpus.py", "test_tutorial.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest tests."""
    items.sort(key=lambda item: item.path.name not in _LONG)
