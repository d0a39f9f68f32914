"""The Kaldi libraries; nothing else in the project imports them.

Importing kaldifst after kaldilm never returns (kaldifst 1.7.17, kaldilm 1.15.5), and kaldilm ends
the process when a language model is malformed: it runs in a process of its own.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from asr_hf.runtime.children import run_text_command
from asr_hf.runtime.errors import InputError

if "kaldilm" in sys.modules and "kaldifst" not in sys.modules:
    raise ImportError("kaldilm was imported before asr_hf.hmm: kaldifst would hang after it")

import kaldi_hmm_gmm
import kaldifst

log = logging.getLogger(__name__)

# The library itself stops at 30.
_MAX_WARNINGS = 10

__all__ = ["arpa_to_text", "kaldi_hmm_gmm", "kaldifst"]


def arpa_to_text(arpa: Path, words_file: Path, name: str) -> str:
    """Convert an ARPA model to a transducer in text form, backing off through `#0`.

    Warnings of the library are logged.

    Args:
        arpa: the model's file.
        words_file: the word table's file.
        name: name of the model in messages.

    Returns:
        The transducer, a line for each arc and final state.

    Raises:
        InputError: the model is malformed.
    """
    options = ["--disambig-symbol=#0", f"--read-symbol-table={words_file}"]
    command = [sys.executable, "-m", "kaldilm", *options, str(arpa)]
    result = run_text_command(command)
    warnings = [
        line for line in result.stderr.split("\n") if line.startswith(("[W]", "[E]", "[F]"))
    ]
    if result.returncode or not result.stdout.strip():
        raise InputError(
            f"{name}: not an ARPA language model: {'; '.join(warnings) or result.stderr[-300:]}",
            remedy="make the language model again, or run asr-hf prepare",
        )
    for line in warnings[:_MAX_WARNINGS]:
        log.warning("%s: %s", name, line)
    if len(warnings) > _MAX_WARNINGS:
        log.warning("%s: and %d more such warnings", name, len(warnings) - _MAX_WARNINGS)
    return result.stdout
