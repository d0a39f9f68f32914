"""Ranks that help make, byte for byte, what one process makes: all that stages send can be sent."""

from __future__ import annotations

import shutil
import threading
from contextlib import contextmanager
from pathlib import Path

import torch.distributed as dist

from asr_hf.cli.processes import _task
from asr_hf.data.lattice_store import LatticeStore
from asr_hf.hmm.tree import tree_growing
from asr_hf.runtime.helpers import serve_first_rank, using_helpers
from asr_hf.runtime.process_group import ProcessGroup
from asr_hf.stages import align, decode, lattices
from asr_hf.stages.timing.timed_sets import TimesWanted

from ..typed import typed
from . import drawn_corpus
from . import test_lattices as stage

drawn, root = drawn_corpus.drawn, stage.root


@contextmanager
def two_helpers(folder: Path):
    """Threads that help as ranks do, over connections of the loopback."""
    store = dist.FileStore(str(folder / "store-of-ranks"), 3)
    ranks = [ProcessGroup(rank, 3, rank, 3, None, store) for rank in range(3)]
    helpers = [threading.Thread(target=serve_first_rank, args=[one, _task]) for one in ranks[1:]]
    for helper in helpers:
        helper.start()
    with using_helpers(ranks[0]):
        yield
    for helper in helpers:
        helper.join(20)
        assert not helper.is_alive()


def made(root: Path, *folders: str) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for folder in folders
        for path in sorted((root / folder).rglob("*"))
        if path.is_file() and path.suffix not in (".json", ".scp")
    }


def test_alignments_trees_and_words_are_those_of_one_process(root, tmp_path, monkeypatch):
    monkeypatch.setattr(tree_growing, "LEAST_GAIN", 5.0)
    monkeypatch.setattr(tree_growing, "LEAST_FRAMES", 5.0)
    monkeypatch.chdir(tmp_path)
    folders = ("align", "align-tied", "store", "store-tied", "exp/decode")

    def make() -> dict[str, bytes]:
        for folder in folders:
            shutil.rmtree(root / folder, ignore_errors=True)
        align.run(typed(drawn_corpus.configuration(root)))
        align.run(typed(drawn_corpus.tied(root)), times=TimesWanted("ctm"))
        decode.decode_sets(
            typed(drawn_corpus.tied(root)), drawn_corpus.scores_of(root, "align-tied")
        )
        return made(root, *folders)

    alone = make()
    with two_helpers(tmp_path):
        assert make() == alone
    expected = {"align/gmm.npz", "align-tied/tree", "exp/decode/test/hyp.txt"}
    assert {*expected, "align-tied/test/times/times.jsonl"} <= alone.keys()


def test_lattices_are_those_of_one_process(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = stage.configuration(root, beam=200.0, lattice_beam=1.0)

    def make() -> dict[str, bytes]:
        shutil.rmtree(root / "lattices", ignore_errors=True)
        lattices.run(typed(config), stage.scores_in_order(root, noise=120.0))
        return made(root, "lattices")

    alone = make()
    with two_helpers(tmp_path):
        assert make() == alone


def test_a_reason_why_an_utterance_is_left_out_comes_over(root, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = stage.configuration(root, sets=["dev"], max_frames=98, max_skipped=0.9)
    with two_helpers(tmp_path):
        lattices.run(typed(config), stage.scores_in_order(root))
    left_out = LatticeStore.open(root / "lattices" / "dev").about["skipped"]
    assert left_out and all("max_frames=98" in reason for reason in left_out.values())
