"""Identifies what the pdfs of an HMM system stand for, without loading the system."""

from __future__ import annotations

from pathlib import Path

from asr_hf.runtime.files import read_json
from asr_hf.runtime.provenance import digest, file_digest

# The file of a tree in a system's folder.
TREE = "tree"


def states_digest(folder: Path) -> str:
    """Digest what the pdfs of the system in `folder` stand for: phones, topology and tree.

    Returns:
        The digest, equal for systems whose alignments mean the same.

    Raises:
        InputError: there is no such system.
    """
    tied = "tree" in read_json(folder / "hmm.json")
    return digest([file_digest(folder / name) for name in ("phones.txt", "topo", TREE)[: 2 + tied]])
