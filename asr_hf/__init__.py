"""Hessian-free training of DNN-HMM acoustic models.

In Python: `HessianFree` and `StochasticHessianFree` optimise any torch.nn.Module, `load_model`
opens a trained acoustic model, `Recogniser` writes down recordings. `docs/python.md` shows how.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asr_hf.cli.recogniser import Recogniser
    from asr_hf.optim import HessianFree, StochasticHessianFree
    from asr_hf.runtime.version import __version__
    from asr_hf.scoring.transcription import Transcription
    from asr_hf.training.trained_model import TrainedModel, load_model

__all__ = [
    "HessianFree",
    "Recogniser",
    "StochasticHessianFree",
    "TrainedModel",
    "Transcription",
    "__version__",
    "load_model",
]

# Imported when they are first asked for: `import asr_hf` itself does not wait for torch.
_PLACES = {
    "HessianFree": "asr_hf.optim",
    "Recogniser": "asr_hf.cli.recogniser",
    "StochasticHessianFree": "asr_hf.optim",
    "TrainedModel": "asr_hf.training.trained_model",
    "Transcription": "asr_hf.scoring.transcription",
    "__version__": "asr_hf.runtime.version",
    "load_model": "asr_hf.training.trained_model",
}


def __getattr__(name: str) -> Any:
    """Return what the package offers, imported now.

    Raises:
        AttributeError: the package has nothing of that name.
    """
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(_PLACES[name]), name)
    return value


def __dir__() -> list[str]:
    """Return the names that the package offers."""
    return sorted({*globals(), *_PLACES})
