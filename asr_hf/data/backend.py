"""Chooses the libraries that compute filterbanks and resample audio."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from importlib import metadata
from typing import NamedTuple

from torch import Tensor

log = logging.getLogger(__name__)


class Torchaudio(NamedTuple):
    """What is used of torchaudio.

    Args:
        fbank: `torchaudio.compliance.kaldi.fbank`.
        resample: `torchaudio.functional.resample`.
    """

    fbank: Callable[..., Tensor]
    resample: Callable[..., Tensor]


def torchaudio() -> Torchaudio | None:
    """Return torchaudio, the first choice; None where it is missing or does not load.

    Nothing else imports it. Where there is none, kaldi-native-fbank computes filterbanks
    (`asr_hf.data.fbank`), and SciPy resamples (`asr_hf.data.resampling`).
    """
    found = loaded()
    return found if isinstance(found, Torchaudio) else None


def in_use() -> str:
    """Return in one line which libraries are used, and why it is not torchaudio if it is not."""
    found = loaded()
    if isinstance(found, Torchaudio):
        return f"filterbanks and resampling by torchaudio {_version('torchaudio')}"
    fbank, resampling = (f"{name} {_version(name)}" for name in ("kaldi-native-fbank", "scipy"))
    return f"filterbanks by {fbank}, resampling by {resampling}: {found}"


@cache
def loaded() -> Torchaudio | str:
    """Return torchaudio, or the reason why there is none."""
    try:
        from torchaudio import compliance, functional
    # Beside another torch, or another CUDA than its own, it fails in one of these ways.
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name == "torchaudio":
            return "there is no torchaudio"
        from torch import __version__ as torch

        reason = f"torchaudio {_version('torchaudio')} does not load beside torch {torch}"
        log.warning("%s: %s", reason, error)
        return reason
    return Torchaudio(compliance.kaldi.fbank, functional.resample)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "(not installed)"
