from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr_hf.kaldi.reader import KaldiReader
from asr_hf.kaldi.tree import ContextDependency, Leaf, Node, Split, Table, read_tree
from asr_hf.kaldi.writer import KaldiWriter
from asr_hf.runtime.errors import InputError

KEYS = st.integers(-1, 2)
SETS = st.sets(st.integers(0, 9), min_size=1).map(lambda s: tuple(sorted(s)))


def branches(below: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    tables = st.lists(st.none() | below, max_size=4).map(tuple)
    return st.builds(Table, KEYS, tables) | st.builds(Split, KEYS, SETS, below, below)


NODES = st.recursive(st.builds(Leaf, st.integers(0, 9000)), branches, max_leaves=8)


def contents(tree: ContextDependency, binary: bool) -> bytes:
    writer = KaldiWriter(binary)
    tree.write(writer)
    return writer.contents()


def read(raw: bytes, binary: bool) -> ContextDependency:
    return ContextDependency.read(KaldiReader(raw, "tree", binary))


@given(NODES)
def test_binary_and_text_give_the_same_tree(root: Node) -> None:
    tree = ContextDependency(3, 1, root)
    for binary in (False, True):
        assert read(contents(tree, binary), binary) == tree


def test_the_same_files_as_kaldi(tmp_path: Path, real: SimpleNamespace) -> None:
    for binary in (False, True):
        path = tmp_path / f"tree-{binary}"
        real.tree.write(binary, str(path))
        tree = read_tree(path)
        mark = b"\0B" if binary else b""
        assert mark + contents(tree, binary) == path.read_bytes()
        assert tree.num_pdfs == real.tree.num_pdfs
        for phone in (1, 2, 3):
            for pdf_class in (0, 1):
                _, pdf = real.tree.compute([phone], pdf_class)
                assert tree.pdf([phone], pdf_class) == pdf


def test_answers_of_every_kind_of_question() -> None:
    ask_left = Split(0, (1, 4), Leaf(5), Table(-1, (Leaf(6), None)))
    tree = ContextDependency(3, 1, Table(1, (None, Leaf(7), ask_left)))
    assert tree.pdf([0, 1, 0], 0) == 7
    assert tree.pdf([4, 2, 9], 0) == 5
    assert tree.pdf([3, 2, 9], 0) == 6
    assert tree.pdf([3, 2, 9], 1) is None
    assert tree.pdf([3, 2, 9], 2) is None
    assert tree.pdf([3, 0, 9], 0) is None
    assert tree.num_pdfs == 8


def test_damaged_trees_are_named() -> None:
    good = contents(ContextDependency(3, 1, Split(0, (1,), Leaf(0), Leaf(1))), True)
    for size in range(len(good)):
        with pytest.raises(InputError, match="tree: byte"):
            read(good[:size], True)
    endless = b"ContextDependency 1 0 ToPdf " + b"SE 0 [ 1 ] { " * 5000
    with pytest.raises(InputError, match="deep"):
        read(endless, False)
    with pytest.raises(InputError, match="tree: byte"):
        read(b"ContextDependency 1 0 ToPdf TE 0 2000000000 ( ", False)
    with pytest.raises(InputError, match="at most 30 phones"):
        read(b"ContextDependency 2000000000 1 ToPdf CE 0 EndContextDependency ", False)
    with pytest.raises(InputError, match="pdf -1"):
        read(b"ContextDependency 1 0 ToPdf CE -1 EndContextDependency ", False)
    with pytest.raises(InputError, match="without an answer"):
        read(b"ContextDependency 1 0 ToPdf SE 0 [ 1 ] { NULL CE 0 } EndContextDependency ", False)
