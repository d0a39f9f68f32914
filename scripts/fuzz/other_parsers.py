"""Parsers of recognisers' text, language models, configurations, runs and models."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import torch

from asr_hf.cli.compose import load_config
from asr_hf.data.augment.babble import Babble
from asr_hf.data.augment.chain import Effects
from asr_hf.data.augment.noise import Noise
from asr_hf.data.augment.table import Copy, read_copies, write_copies
from asr_hf.hmm.gmm.gmm import Gmm
from asr_hf.hmm.graph import fst as fsts
from asr_hf.hmm.graph.arpa import write_plain
from asr_hf.hmm.graph.context import ContextHmms
from asr_hf.hmm.graph.fst_file import Labels
from asr_hf.hmm.graph.lexicon import Lexicon, SymbolTable, phone_table, read_lexicon, word_table
from asr_hf.hmm.graph.ngram import estimate_ngram
from asr_hf.hmm.system import HmmSystem
from asr_hf.kaldi.tree import PDF_CLASS, ContextDependency, Leaf, Node, Split, Table
from asr_hf.runtime.checkpoint import load_checkpoint, save_checkpoint
from asr_hf.runtime.events import EventLog, read_events
from asr_hf.runtime.plain_yaml import plain_yaml
from asr_hf.runtime.run_config import read_run_config
from asr_hf.runtime.run_folder import RunFolder
from asr_hf.scoring.ctm import CtmWord, read_ctm, write_ctm
from asr_hf.scoring.transcripts import read_table
from asr_hf.training.model_file import build_model, load_model, save_model
from scripts.fuzz.parsers import Parser, with_digest, with_model_checksum

_WORDS = {"ax": (("en_a", "en_x"),), "a": (("en_a",),), "x": (("en_x",), ("en_x", "en_a"))}
_MODEL = {
    "_target_": "asr_hf.models.dnn.DNN",
    "hidden_sizes": [4],
    "left": 1,
    "right": 1,
}


def _make_ctm(folder: Path) -> None:
    words = [
        CtmWord("rec", "A", 0.5 * n, 0.4, f"word{n}", 0.9 if n % 2 else None) for n in range(4)
    ]
    write_ctm(folder / "words.ctm", words)


def _make_transcripts(folder: Path) -> None:
    (folder / "text").write_text("utt-1 some words\nutt-2\nutt-3 größer ещё\n", encoding="utf-8")


def _make_lexicon(folder: Path) -> None:
    (folder / "lexicon.txt").write_text(Lexicon("en", _WORDS).text(), encoding="utf-8")


def _parse_lexicon(folder: Path) -> None:
    lexicon = read_lexicon(folder / "lexicon.txt", "en").with_unknown()
    phone_table([lexicon])
    word_table(lexicon)


def _make_arpa(folder: Path) -> None:
    text = estimate_ngram([["a", "x"], ["ax", "a"], ["x"]], _WORDS, 2)
    (folder / "lm.arpa").write_text(text, encoding="utf-8")


def _parse_arpa(folder: Path) -> None:
    words = word_table(Lexicon("en", _WORDS).with_unknown())
    write_plain(folder / "lm.arpa", words, io.StringIO())


def _parse_grammar(folder: Path) -> None:
    words = word_table(Lexicon("en", _WORDS).with_unknown())
    fsts.grammar(folder / "lm.arpa", words)


def _make_graph(folder: Path) -> None:
    arcs = [(0, 1, 1, 1, 0.5), (0, 2, 2, 0, 0.5), (1, 2, 3, 2, 1.0), (2, 0, 1, 1, 0.3)]
    fsts.write(fsts.build(arcs, [2], 3), folder / "HCLG.fst")


def _parse_graph(folder: Path) -> None:
    graph = fsts.read(folder / "HCLG.fst", Labels(9, 9))
    fsts.input_labels(fsts.compose(graph, fsts.build([(0, 0, 1, 1, 1.0)], [0], 1)))


def _make_symbols(folder: Path) -> None:
    (folder / "words.txt").write_text(word_table(Lexicon("en", _WORDS)).text(), encoding="utf-8")


def _make_system(folder: Path) -> None:
    system = HmmSystem.create([Lexicon("en", _WORDS)])
    pdfs = system.transitions.num_pdfs
    random = np.random.default_rng(0)
    system.gmm = Gmm(
        np.arange(pdfs + 1), np.ones(pdfs), random.normal(size=(pdfs, 2)), np.ones((pdfs, 2))
    )
    system.save(folder)


def _make_tied_system(folder: Path) -> None:
    system = HmmSystem.create([Lexicon("en", _WORDS)])
    monophones, number = system.transitions, iter(range(1000))
    states: dict[int, list[Node]] = {}
    for phone, loop in zip(monophones.phone_of[1:], monophones.is_self_loop[1:], strict=True):
        if loop:
            states.setdefault(int(phone), []).append(Leaf(next(number)))
    last = max(states)
    states[last][0] = Split(0, (0, 1), states[last][0], Leaf(next(number)))
    phones = [Table(PDF_CLASS, tuple(states.get(phone, ()))) for phone in range(last + 1)]
    system.tied(ContextDependency(3, 1, Table(1, tuple(phones)))).save(folder)


def _parse_tied_system(folder: Path) -> None:
    model = HmmSystem.load(folder).transitions
    if model.tree is None:
        return
    hmms = ContextHmms(model, model.tree)
    for phone in set(model.phone_of[1:].tolist()):
        for before in (0, 1):
            list(hmms.hmm((before, phone, 0)))


_OVERRIDES = (
    "+recipe=prompts",
    "model.hidden_sizes=[8,16]",
    "runtime.memory=4GB",
    "name='a run'",
)


def _make_overrides(folder: Path) -> None:
    (folder / "overrides").write_text("\n".join(_OVERRIDES))


def _parse_overrides(folder: Path) -> None:
    text = (folder / "overrides").read_bytes().decode(errors="surrogateescape")
    load_config([line for line in text.split("\n") if line])


def _make_checkpoint(folder: Path) -> None:
    tensors = {"theta": torch.arange(6.0), "pairs": torch.zeros(2, 3, dtype=torch.float64)}
    values = {"lambda": 0.1, "history": [1, None, "a"], "random": {"seed": 2**70}}
    save_checkpoint(folder, 3, tensors, values, keep_last=1, best=False)


def _parse_checkpoint(folder: Path) -> None:
    load_checkpoint(folder / "step-000003.ckpt")


def _make_model(folder: Path) -> None:
    save_model(folder / "model.safetensors", build_model(_MODEL, 3, 5, 0), _MODEL, {"corpus": "x"})


def _parse_model(folder: Path) -> None:
    load_model(folder / "model.safetensors")


def _make_run(folder: Path) -> None:
    with RunFolder.open(folder, _MODEL):
        log = EventLog(folder, tensorboard=False)
        for iteration in range(3):
            log.append({"iteration": iteration, "heldout_loss": 1.5, "phase_seconds": {"cg": 0.1}})
        log.close()


def _parse_run(folder: Path) -> None:
    read_events(folder / "events.jsonl")
    try:
        with RunFolder.open(folder, _MODEL):
            log = EventLog(folder, tensorboard=False)
            log.truncate_after(1)
    finally:
        os.truncate(folder / ".lock", 0)


def _parse_run_config(folder: Path) -> None:
    read_run_config(folder)


def _make_run_config(folder: Path) -> None:
    config = {
        "name": "first",
        "corpus": {"name": "mine", "recipe": "table", "sets": ["train", "dev"]},
        "model": _MODEL,
        "features": {"allow_pipes": False, "high_freq": 0.0},
        "alignment": {"tag": None},
    }
    (folder / "config.yaml").write_text(plain_yaml(config))


def _make_copies(folder: Path) -> None:
    noise = Noise("white", 3, 10.0)
    effects = Effects(1.1, Babble(("a", "b"), (3.0, 4.5), 5.0), noise, (300, 3400), -6.0, "gsm")
    write_copies(folder, [Copy(f"utt-{n}", "utt", n, effects) for n in (1, 2)])


PARSERS = (
    Parser("ctm", _make_ctm, lambda f: read_ctm(f / "words.ctm"), tokens=(b";;", b"1e400")),
    Parser("transcripts", _make_transcripts, lambda f: read_table(f / "text")),
    Parser("lexicon", _make_lexicon, _parse_lexicon, tokens=(b"<eps>", b"#0", b"<s>", b"sil")),
    Parser(
        "arpa", _make_arpa, _parse_arpa, tokens=(b"\\data\\", b"\\end\\", b"<s>", b"\\3-grams:")
    ),
    Parser("grammar", _make_arpa, _parse_grammar, tokens=(b"\\end\\", b"ngram 1=", b"</s>")),
    Parser("graph", _make_graph, _parse_graph, tokens=(b"vector", b"const", b"standard", b"log")),
    Parser("symbols", _make_symbols, lambda f: SymbolTable.read(f / "words.txt")),
    Parser("hmm-system", _make_system, HmmSystem.load, tokens=(b"<State>", b"<Topology>")),
    Parser(
        "hmm-system-tied",
        _make_tied_system,
        _parse_tied_system,
        ("tree", "topo", "transitions.txt", "hmm.json"),
        (b"CE ", b"SE ", b"TE ", b"NULL ", b"{ ", b"( ", b"[ ", b"] ", b"<PdfClass>"),
    ),
    Parser(
        "overrides",
        _make_overrides,
        _parse_overrides,
        tokens=(b"${", b"${name}", b"=", b"++", b"~", b"[", b"{a:1}", b"@", b"glob(*)", b"null"),
        names_files=False,
    ),
    Parser("checkpoint", _make_checkpoint, _parse_checkpoint, ("*.ckpt",)),
    Parser("checkpoint-body", _make_checkpoint, _parse_checkpoint, ("*.ckpt",), seal=with_digest),
    Parser("model", _make_model, _parse_model),
    Parser(
        "model-body",
        _make_model,
        _parse_model,
        tokens=(
            b'"kind"',
            b"os.system",
            b'"F32"',
            b"tdnn",
            b"asr_hf.models.flat.FlatModule",
            b"${",
        ),
        seal=with_model_checksum,
    ),
    Parser("run-folder", _make_run, _parse_run, ("config.yaml", "events.jsonl")),
    Parser(
        "run-config",
        _make_run_config,
        _parse_run_config,
        tokens=(b"_target_", b"${oc.env:HOME}", b"&a", b"*a", b"!!python/name:os.system", b"../"),
    ),
    Parser("copies", _make_copies, lambda f: read_copies(f)),
)
