"""Kaldi experiments in miniature, made as Kaldi's programs would write them."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from asr_hf.kaldi.reader import KaldiReader
from asr_hf.kaldi.transition_model import KaldiTransitionModel
from asr_hf.kaldi.writer import KaldiWriter

TOPOLOGY = """<Topology>
<TopologyEntry>
<ForPhones>
2 3
</ForPhones>
<State> 0 <PdfClass> 0 <Transition> 0 0.75 <Transition> 1 0.25 </State>
<State> 1 <PdfClass> 1 <Transition> 1 0.75 <Transition> 2 0.25 </State>
<State> 2 </State>
</TopologyEntry>
<TopologyEntry>
<ForPhones>
1
</ForPhones>
<State> 0 <PdfClass> 0 <Transition> 0 0.5 <Transition> 1 0.3 <Transition> 2 0.2 </State>
<State> 1 <PdfClass> 1 <Transition> 1 0.6 <Transition> 2 0.4 </State>
<State> 2 </State>
</TopologyEntry>
</Topology>
"""


@pytest.fixture(scope="session")
def real() -> SimpleNamespace:
    """A transition model and a tree made by kaldi_hmm_gmm."""
    from asr_hf.hmm.kaldi import kaldi_hmm_gmm as khg

    topology = khg.HmmTopology()
    topology.read(TOPOLOGY)
    topology.check()
    tree = khg.monophone_context_dependency([1, 2, 3], topology.get_phone_to_num_pdf_classes())
    # The model refers to its tree and topology.
    return SimpleNamespace(
        topology=topology, tree=tree, transitions=khg.TransitionModel(tree, topology)
    )


def make_alignment_folder(folder: Path, real: SimpleNamespace, binary: bool) -> Path:
    """A folder with final.mdl and tree, still without alignments."""
    folder.mkdir(parents=True)
    text = str(real.transitions).encode()
    if binary:
        writer = KaldiWriter(binary=True)
        KaldiTransitionModel.read(KaldiReader(text, "text", False)).write(writer)
        writer.save(folder / "final.mdl")
    else:
        (folder / "final.mdl").write_bytes(text)
    real.tree.write(binary, str(folder / "tree"))
    return folder


def text_entry(key: str, ids: np.ndarray) -> bytes:
    return f"{key} {' '.join(map(str, ids.tolist()))} \n".encode()


def binary_entry(key: str, ids: np.ndarray) -> bytes:
    packed = b"".join(struct.pack("<bi", 4, i) for i in ids.tolist())
    return f"{key} ".encode() + b"\0B" + struct.pack("<bi", 4, len(ids)) + packed


def write_alignments(
    folder: Path, utterances: Mapping[str, np.ndarray], jobs: int, binary: bool
) -> None:
    entry = binary_entry if binary else text_entry
    items = list(utterances.items())
    for job in range(jobs):
        body = b"".join(entry(key, ids) for key, ids in items[job::jobs])
        (folder / f"ali.{job + 1}.gz").write_bytes(gzip.compress(body))
    (folder / "num_jobs").write_text(f"{jobs}\n")
