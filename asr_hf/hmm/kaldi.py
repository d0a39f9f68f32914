"""The Kaldi libraries; nothing else in the project imports them.

Importing kaldi_decoder after kaldilm never returns (kaldi_decoder 0.2.11, kaldilm 1.15.5), and
kaldilm ends the process when a language model is malformed: it runs in a process of its own.
"""

from __future__ import annotations

import sys
from pathlib import Path

from asr_hf.runtime.children import run_text_command
from asr_hf.runtime.errors import InputError

if "kaldilm" in sys.modules and "kaldi_decoder" not in sys.modules:
    raise ImportError("kaldilm was imported before asr_hf.hmm: kaldi_decoder would hang after it")

import kaldi_decoder
import kaldi_hmm_gmm
import kaldifst

__all__ = ["arpa_to_text", "kaldi_decoder", "kaldi_hmm_gmm", "kaldifst"]


def arpa_to_text(arpa: Path, words_file: Path) -> str:
    """Convert an ARPA model to a transducer in text form, backing off through `#0`.

    Raises:
        InputError: the model is malformed.
    """
    options = ["--disambig-symbol=#0", f"--read-symbol-table={words_file}"]
    command = [sys.executable, "-m", "kaldilm", *options, str(arpa)]
    answer = run_text_command(command)
    if answer.returncode or not answer.stdout.strip():
        complaints = [line for line in answer.stderr.splitlines() if line.startswith("[")]
        found = "; ".join(line for line in complaints if not line.startswith("[I]"))
        raise InputError(
            f"{arpa}: not an ARPA language model: {found or answer.stderr.strip()[-300:]}",
            remedy="run asr-hf prepare again",
        )
    return answer.stdout
