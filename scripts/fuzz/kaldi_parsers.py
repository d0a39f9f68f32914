"""Parsers of files of Kaldi experiments."""

from __future__ import annotations

import gzip
import math
import shutil
import struct
from collections.abc import Sequence
from pathlib import Path

import kaldiio
import numpy as np

from asr_hf.data.cmvn import CmvnMode, CmvnOptions, cmvn_stats
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.data.store_writer import build_store
from asr_hf.hmm.alignment.segments import Segment, word_segments
from asr_hf.hmm.lattice.kaldi_lattices import checked_lattice, read_lattices
from asr_hf.kaldi.alignments import read_alignments
from asr_hf.kaldi.features import link_features
from asr_hf.kaldi.graph import read_align_lexicon
from asr_hf.kaldi.options import read_cmvn_options
from asr_hf.kaldi.topology import NO_PDF, Topology, TopologyState
from asr_hf.kaldi.transforms import FeatureTransforms
from asr_hf.kaldi.transition_model import KaldiTransitionModel, read_transition_model
from asr_hf.kaldi.tree import PDF_CLASS, ContextDependency, Leaf, Split, Table, read_tree
from asr_hf.kaldi.writer import KaldiWriter
from scripts.fuzz.parsers import Parser

_UTTERANCES = ("s1-a", "s1-b", "s2-a")
_DIM = 3
_IDS = 8
_TREE = ContextDependency(3, 1, Table(1, (None, Leaf(0), Split(PDF_CLASS, (0,), Leaf(1), Leaf(2)))))
_BINARY = (b"\0B", b"\4", b"\xfc", b"FV ", b"FM ", b"DM ", b"CM ")
_MODEL_TOKENS = (
    *_BINARY, b"<State>", b"</State>", b"<Transition>", b"<Tuples>", b"<Triples>", b"<ForPhones>",
    b"</Topology>", b"[ ", b"]",
)  # fmt: skip


def _model(*, chain: bool) -> KaldiTransitionModel:
    """Make a model of two phones with one and two states; loops of chain models have own pdfs."""
    first, second = (
        tuple(
            TopologyState(0, int(chain), ((state, 0.75), (state + 1, 0.25)))
            for state in range(states)
        )
        for states in (1, 2)
    )
    end = TopologyState(NO_PDF, NO_PDF, ())
    topology = Topology(((*first, end), (*second, end)), (-1, 0, 1))
    tuples = [(1, 0, 0, 0), (2, 0, 1, 1 + chain), (2, 1, 2, 2)]
    log_probs = np.log([1.0, *[0.75, 0.25] * len(tuples)])
    return KaldiTransitionModel(topology, np.array(tuples, np.int32), log_probs)


def _write_model(path: Path, model: KaldiTransitionModel, binary: bool) -> None:
    writer = KaldiWriter(binary)
    model.write(writer)
    writer.save(path)


def _write_tree(path: Path, binary: bool) -> None:
    writer = KaldiWriter(binary)
    _TREE.write(writer)
    writer.save(path)


def _make_model(folder: Path) -> None:
    for binary, form in enumerate(("text", "binary")):
        _write_model(folder / f"{form}.mdl", _model(chain=False), bool(binary))
        _write_model(folder / f"{form}-chain.mdl", _model(chain=True), bool(binary))
    text = (folder / "text.mdl").read_bytes()
    (folder / "zipped.mdl").write_bytes(gzip.compress(text, mtime=0))


def _parse_model(folder: Path) -> None:
    for path in sorted(folder.glob("*.mdl")):
        model = read_transition_model(path)
        _ = model.pdf_of, model.phone_of, model.is_self_loop, model.is_final, model.num_pdfs


def _make_tree(folder: Path) -> None:
    _write_tree(folder / "text", binary=False)
    _write_tree(folder / "binary", binary=True)


def _parse_tree(folder: Path) -> None:
    for name in ("text", "binary"):
        tree = read_tree(folder / name)
        _ = tree.num_pdfs
        for phone in (-1, 0, 1, 2, 3):
            tree.pdf([0] * tree.central + [phone] + [0] * min(3, tree.width), 0)


def _text_entries(ids: Sequence[int]) -> bytes:
    return b"".join(f"{u} {' '.join(map(str, ids))} \n".encode() for u in _UTTERANCES[:1])


def _binary_entries(names: Sequence[str], ids: Sequence[int]) -> bytes:
    packed = struct.pack("<bi", 4, len(ids)) + b"".join(struct.pack("<bi", 4, i) for i in ids)
    return b"".join(name.encode() + b" \0B" + packed for name in names)


def _make_alignments(folder: Path) -> None:
    _write_model(folder / "final.mdl", _model(chain=False), binary=True)
    _write_tree(folder / "tree", binary=False)
    ids = [1, 1, 2, 3, 4, 5, 6]
    (folder / "ali.1").write_bytes(_text_entries(ids))
    (folder / "ali.2").write_bytes(_binary_entries(_UTTERANCES[1:2], ids))
    (folder / "ali.3.gz").write_bytes(gzip.compress(_binary_entries(_UTTERANCES[2:], ids), mtime=0))
    (folder / "num_jobs").write_text("3\n")


# Each arc: target, word, graph cost, acoustic cost and transition ids; then the final cost.
_Arc = tuple[int, int, float, float, list[int]]
_STATES: list[tuple[list[_Arc], float]] = [
    ([(1, 7, 1.5, 20.0, [1, 2]), (2, 0, 0.5, 11.0, [3, 4])], math.inf),
    ([(2, 8, 0.25, 5.0, [])], math.inf),
    ([], 2.0),
]


def _binary_lattice(compact: bool) -> bytes:
    pieces = [struct.pack("<i", 2125659606)]
    for name in (b"vector", b"compactlattice44" if compact else b"lattice4"):
        pieces.append(struct.pack("<i", len(name)) + name)
    pieces.append(struct.pack("<iiQqqq", 2, 0, 3, 0, len(_STATES), 3))

    def weight(graph: float, acoustic: float, ids: Sequence[int]) -> bytes:
        scores = struct.pack("<ff", graph, acoustic)
        return scores + struct.pack(f"<i{len(ids)}i", len(ids), *ids) if compact else scores

    for arcs, final in _STATES:
        pieces.append(weight(final, 0 if final < math.inf else final, ()))
        pieces.append(struct.pack("<q", len(arcs)))
        for target, word, graph, acoustic, ids in arcs:
            # An arc of a lattice that is not compact has one frame, or none.
            label = word if compact else sum(ids[:1])
            pieces.append(struct.pack("<ii", label, word) + weight(graph, acoustic, ids))
            pieces.append(struct.pack("<i", target))
    return b"".join(pieces)


def _text_lattice() -> bytes:
    lines = [""]
    for number, (arcs, final) in enumerate(_STATES):
        for target, word, graph, acoustic, ids in arcs:
            weight = f"{graph:g},{acoustic:g},{'_'.join(map(str, ids))}"
            lines.append(f"{number}\t{target}\t{word}\t{weight}")
        if final < math.inf:
            lines.append(f"{number}\t{final:g},0,")
    return "\n".join([*lines, "", ""]).encode()


def _make_lattices(folder: Path) -> None:
    forms = {
        "lat.1": _text_lattice(),
        "lat.2": _binary_lattice(compact=True),
        "lat.3": _binary_lattice(compact=False),
    }
    for name, entry in forms.items():
        (folder / name).write_bytes(b"".join(u.encode() + b" " + entry for u in _UTTERANCES[:2]))
    text = (folder / "lat.1").read_bytes()
    (folder / "lat.4.gz").write_bytes(gzip.compress(text, mtime=0))


def _parse_lattices(folder: Path) -> None:
    for path in sorted(folder.glob("lat.*")):
        for utterance, raw in read_lattices(path):
            # Errors in a file of right form name the utterance alone, as those of the stages do.
            checked_lattice(raw, f"{path}: {utterance}", _IDS)


def _make_features(folder: Path) -> None:
    # Files that an earlier case left.
    for made in ("linked", "store"):
        shutil.rmtree(folder / made, ignore_errors=True)
    draw = np.random.default_rng(0)
    features = {u: draw.normal(size=(6, _DIM)).astype(np.float32) for u in _UTTERANCES}
    stats = {
        s: sum(cmvn_stats(f) for u, f in features.items() if u.startswith(s)) for s in ("s1", "s2")
    }
    for name, table in (("feats", features), ("cmvn", stats)):
        kaldiio.save_ark(str(folder / f"{name}.ark"), table, scp=str(folder / f"{name}.scp"))
        scp = (folder / f"{name}.scp").read_text()
        (folder / f"{name}.scp").write_text(scp.replace(f"{folder}/", ""))


def _parse_features(folder: Path) -> None:
    link_features(folder, [folder / "linked"], CmvnMode.SPEAKER, CmvnOptions())
    utterances = [Utterance(name, name[:2], name) for name in _UTTERANCES]
    build_store(folder / "store", DataDir(folder, utterances, {}), folder / "linked", None)


def _make_transforms(folder: Path) -> None:
    each = {s: np.eye(_DIM, _DIM + 1, dtype=np.float32) for s in ("s1", "s2")}
    kaldiio.save_ark(str(folder / "trans.1"), each)
    for binary, name in enumerate(("text", "binary")):
        writer = KaldiWriter(bool(binary))
        writer.matrix(np.ones((_DIM, 3 * _DIM + 1)))
        (folder / name).mkdir(exist_ok=True)
        writer.save(folder / name / "final.mat")
        (folder / name / "splice_opts").write_text("--left-context=1 --right-context=1\n")
        (folder / name / "cmvn_opts").write_text("--norm-vars=true --skip-dims=0:1\n")
        (folder / name / "delta_opts").write_text("--delta-order=2 --delta-window=2\n")


def _parse_transforms(folder: Path) -> None:
    frames = np.ones((5, _DIM), np.float32)
    for path in (folder, folder / "text", folder / "binary"):
        read_cmvn_options(path / "cmvn_opts")
        FeatureTransforms.open([path]).apply(Utterance("s1-a", "s1", "s1-a"), frames)


def _make_lexicon(folder: Path) -> None:
    (folder / "align_lexicon.int").write_text("0 0 1\n1 1 2 3\n1 1 3\n2 2\n")


def _parse_lexicon(folder: Path) -> None:
    entries = read_align_lexicon(folder / "align_lexicon.int", ["<eps>", "a", "b"])
    phones = [Segment(str(phone), 3 * k, 3) for k, phone in enumerate((1, 2, 3, 1, 3, 1))]
    word_segments(phones, ["a", "a", "b"], entries, entries.get("<eps>", ()))


PARSERS = (
    Parser("kaldi-lexicon", _make_lexicon, _parse_lexicon, tokens=(b"0 0 ", b" 1", b"\n", b"-1")),
    Parser("kaldi-model", _make_model, _parse_model, tokens=_MODEL_TOKENS),
    Parser(
        "kaldi-tree",
        _make_tree,
        _parse_tree,
        tokens=(*_BINARY, b"CE ", b"SE ", b"TE ", b"NULL ", b"{ ", b"( ", b"[ ", b"] "),
    ),
    Parser(
        "kaldi-alignments", _make_alignments, lambda f: read_alignments([f]), tokens=_MODEL_TOKENS
    ),
    Parser(
        "kaldi-lattices",
        _make_lattices,
        _parse_lattices,
        tokens=(b"\n\n", b"1_2", b",", b"0,0,", b"\xd6\xfd\xb2\x7e", b"inf,0,", b"2147483647"),
    ),
    Parser("kaldi-features", _make_features, _parse_features, ("*.scp", "*.ark"), _BINARY),
    Parser(
        "kaldi-transforms",
        _make_transforms,
        _parse_transforms,
        ("trans.1", "text/*", "binary/*"),
        (*_BINARY, b"[ ", b"]", b"--left-context="),
    ),
)
