"""The Kaldi libraries, imported in the one order that works.

Importing kaldi_decoder after kaldilm never returns (kaldi_decoder 0.2.11, kaldilm 1.15.5), and so
nothing else in the project imports any of the four.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

if "kaldilm" in sys.modules and "kaldi_decoder" not in sys.modules:
    raise ImportError("kaldilm was imported before asr_hf.hmm: kaldi_decoder would hang after it")

import kaldi_decoder
import kaldi_hmm_gmm
import kaldifst
import kaldilm

__all__ = ["kaldi_decoder", "kaldi_hmm_gmm", "kaldifst", "kaldilm", "quiet"]


@dataclass
class Said:
    """What the libraries wrote to the standard error."""

    text: str = ""


@contextmanager
def quiet() -> Iterator[Said]:
    """Catch what C++ code writes to the standard error; the text is complete at the end."""
    said = Said()
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as stream:
        os.dup2(stream.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            stream.seek(0)
            said.text = stream.read().decode("utf-8", "replace").strip()
