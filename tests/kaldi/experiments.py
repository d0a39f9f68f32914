"""Kaldi experiments in miniature, made as Kaldi's programs would write them."""

from __future__ import annotations

import gzip
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import kaldiio
import numpy as np
import pytest

from asr_hf.data.cmvn import cmvn_stats
from asr_hf.data.store import FORMAT
from asr_hf.kaldi.reader import KaldiReader
from asr_hf.kaldi.transition_model import KaldiTransitionModel
from asr_hf.kaldi.writer import KaldiWriter
from asr_hf.runtime.files import write_json

from .kaldi_text import FIXTURES

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


@pytest.fixture
def s5(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The experiment of fixtures/, in a copy that is the working folder."""
    root = tmp_path / "s5"
    shutil.copytree(FIXTURES / "s5", root)
    monkeypatch.chdir(root)
    return root


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


DIM, SPEAKERS = 5, 12
TINY = [
    "model.hidden_sizes=[8]",
    "model.left=1",
    "model.right=1",
    "trainer.stopping.max_iterations=1",
    "solver.max_iterations=2",
    "sampling=fixed",
    "runtime.device=cpu",
    "features.dtype=float32",
]


class Experiment(SimpleNamespace):
    """Where things are, and what is in them."""

    root: Path
    features: dict[str, np.ndarray]
    ids: dict[str, np.ndarray]


def speaker(utterance: str) -> str:
    return utterance.split("-")[0]


def make_experiment(root: Path, real: SimpleNamespace, binary: bool) -> Experiment:
    random = np.random.default_rng(0)
    names = [f"s{s:02d}-u{u}" for s in range(SPEAKERS) for u in range(2)]
    ids = {n: random.integers(1, 14, random.integers(6, 15)).astype(np.int32) for n in names}
    features = {n: random.normal(3, 2, (len(i), DIM)).astype(np.float32) for n, i in ids.items()}
    data, ark = root / "data" / "train", root / "mfcc"
    data.mkdir(parents=True)
    ark.mkdir()
    stats = {
        s: sum(cmvn_stats(features[n]) for n in names if speaker(n) == s)
        for s in {speaker(n) for n in names}
    }
    for name, table in (("feats", features), ("cmvn", stats)):
        kaldiio.save_ark(str(ark / f"{name}.ark"), table, scp=str(data / f"{name}.scp"), text=False)
        # Paths in Kaldi's scp files are relative to the experiment's root.
        scp = (data / f"{name}.scp").read_text().replace(str(root) + "/", "")
        (data / f"{name}.scp").write_text(scp)
    (data / "utt2spk").write_text("".join(f"{n} {speaker(n)}\n" for n in names))
    (data / "wav.scp").write_text("".join(f"{n} sph2pipe {n}.sph |\n" for n in names))
    folder = make_alignment_folder(root / "exp" / "tri_ali", real, binary)
    write_alignments(folder, ids, 3, binary)
    return Experiment(root=root, features=features, ids=ids)


def arguments(*more: str) -> list[str]:
    data = ["corpus.train_data=data/train", "alignment.from_kaldi=exp/tri_ali", "paths.data=stores"]
    return ["+recipe=kaldi", *data, *TINY, *more]


def write_store(folder: Path, lengths: dict[str, int], pdfs: int) -> None:
    """A frame store of utterances with so many frames, all zero."""
    total = sum(lengths.values())
    folder.mkdir(parents=True)
    np.zeros((total, 2), np.float32).tofile(folder / "frames.bin")
    np.zeros(total, np.int32).tofile(folder / "labels.bin")
    np.save(folder / "offsets.npy", np.cumsum([0, *lengths.values()], dtype=np.int64))
    for file in ("utterances.txt", "speakers.txt"):
        (folder / file).write_text("".join(f"{u}\n" for u in lengths))
    about = {"format": FORMAT, "dim": 2, "dtype": "float32", "labelled": True, "num_pdfs": pdfs}
    write_json(folder / "store.json", about | {"frames": total, "utterances": len(lengths)})
