"""Small networks for the tests of models."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from asr_hf.models.dnn import DNN

MakeDNN = Callable[..., DNN]


@pytest.fixture
def make_dnn() -> MakeDNN:
    def make(**changes: object) -> DNN:
        settings: dict[str, object] = {
            "feature_dim": 3,
            "num_pdfs": 5,
            "hidden_sizes": [7, 6],
            "activation": "sigmoid",
            "left": 1,
            "right": 2,
            "seed": 3,
        }
        return DNN(**{**settings, **changes})  # type: ignore[arg-type]

    return make


@pytest.fixture
def spliced() -> Tensor:
    return torch.randn(11, 12, generator=torch.Generator().manual_seed(0))
