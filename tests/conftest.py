"""Settings of every test: one thread, exact failures from hypothesis."""

from __future__ import annotations

import torch
from hypothesis import settings

torch.set_num_threads(1)
# Shared machines stall; a test is slow only by its time limit.
settings.register_profile("asr-hf", deadline=None, derandomize=True)
settings.load_profile("asr-hf")
