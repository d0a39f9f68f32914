"""Kaldi's phonetic decision tree (the file `tree`): from phones in context to pdfs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_hf.kaldi.reader import KaldiReader
from asr_hf.kaldi.writer import KaldiWriter

# The key of the pdf class among the positions of the context.
PDF_CLASS = -1
# Far beyond any real tree; deeper ones are damage that would exhaust Python's stack.
_DEEPEST = 300
# Likewise; graphs take memory for the window.
_WIDEST = 30


@dataclass(frozen=True)
class Leaf:
    """One answer for all contexts that come here (Kaldi's CE)."""

    answer: int


@dataclass(frozen=True)
class Table:
    """A branch for each value of a key (Kaldi's TE).

    Args:
        key: position in the context window from 0, or `PDF_CLASS`.
        branches: branches by value; None where there is no answer.
    """

    key: int
    branches: tuple[Node | None, ...]


@dataclass(frozen=True)
class Split:
    """A question: is the value of a key in a set (Kaldi's SE)?

    Args:
        key: position in the context window from 0, or `PDF_CLASS`.
        values: the set, rising.
        yes: branch for values in the set.
        no: branch for other values.
    """

    key: int
    values: tuple[int, ...]
    yes: Node
    no: Node


Node = Leaf | Table | Split


@dataclass(frozen=True)
class ContextDependency:
    """A decision tree and the phone window that it looks at.

    Args:
        width: number of phones in the window (3 for triphones).
        central: position of the phone that the pdf belongs to, from 0.
        root: root of the tree.
    """

    width: int
    central: int
    root: Node

    def pdf(self, phones: Sequence[int], pdf_class: int) -> int | None:
        """Look up the pdf of the central one of `phones` [width]; None where the tree has none."""
        event = dict(enumerate(phones)) | {PDF_CLASS: pdf_class}
        return _answer(self.root, event)

    def possible_pdfs(self, phone: int, pdf_class: int) -> list[int]:
        """List every pdf, rising, that the tree has for a phone's pdf class in some context."""
        known = {self.central: phone, PDF_CLASS: pdf_class}
        return sorted({leaf.answer for leaf in _leaves(self.root, known)})

    @property
    def num_pdfs(self) -> int:
        """Number of pdfs: the largest answer plus one."""
        return 1 + max((leaf.answer for leaf in _leaves(self.root)), default=-1)

    @classmethod
    def read(cls, reader: KaldiReader) -> ContextDependency:
        """Read a tree.

        Returns:
            The tree with its window.

        Raises:
            InputError: it is damaged; the message names the place.
        """
        start = reader.at
        reader.expect("ContextDependency")
        width, central = reader.integer("context width"), reader.integer("central position")
        if not 0 <= central < width <= _WIDEST:
            expected = f"one within a window of at most {_WIDEST} phones"
            reader.fail(f"position {central} of {width}", expected, start)
        reader.expect("ToPdf")
        root = _read_node(reader, 0)
        if root is None:
            reader.fail("an empty tree", "CE, SE or TE", start)
        reader.expect("EndContextDependency")
        return cls(width, central, root)

    def write(self, writer: KaldiWriter) -> None:
        """Write the tree as Kaldi does."""
        writer.token("ContextDependency")
        writer.integer(self.width, self.central)
        writer.token("ToPdf")
        _write_node(writer, self.root)
        writer.token("EndContextDependency")


def read_tree(path: Path) -> ContextDependency:
    """Read the tree in a file, text or binary.

    Returns:
        The tree.

    Raises:
        InputError: the file is missing or damaged.
    """
    return ContextDependency.read(KaldiReader.open(path))


def _answer(node: Node | None, event: Mapping[int, int]) -> int | None:
    while node is not None and not isinstance(node, Leaf):
        value = event.get(node.key)
        if value is None:
            return None
        if isinstance(node, Split):
            node = node.yes if value in node.values else node.no
        else:
            node = node.branches[value] if 0 <= value < len(node.branches) else None
    return None if node is None else node.answer


def _leaves(root: Node, known: Mapping[int, int] | None = None) -> Iterator[Leaf]:
    """Find the leaves that an event may reach when only the keys in `known` are known of it."""
    waiting: list[Node] = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Leaf):
            yield node
            continue
        value = None if known is None else known.get(node.key)
        if isinstance(node, Split):
            branches = [node.yes, node.no]
            waiting += branches if value is None else [branches[value not in node.values]]
        else:
            matching = node.branches if value is None else node.branches[value : value + 1]
            waiting += [branch for branch in matching if branch is not None]


def _read_node(reader: KaldiReader, depth: int) -> Node | None:
    start = reader.at
    kind = reader.expect("CE", "SE", "TE", "NULL")
    if depth > _DEEPEST:
        reader.fail(f"questions nested more than {_DEEPEST} deep", "a tree", start)
    if kind == "NULL":
        return None
    if kind == "CE":
        if (pdf := reader.integer("a pdf")) < 0:
            reader.fail(f"pdf {pdf}", "pdfs from 0", start)
        return Leaf(pdf)
    key = reader.integer("the key of a question")
    if kind == "TE":
        size = reader.count("branches", unsigned=True)
        reader.expect("(")
        branches = tuple(_read_node(reader, depth + 1) for _ in range(size))
        reader.expect(")")
        return Table(key, branches)
    values = tuple(reader.integers("values of a question").tolist())
    reader.expect("{")
    yes, no = _read_node(reader, depth + 1), _read_node(reader, depth + 1)
    reader.expect("}")
    if yes is None or no is None:
        reader.fail("a question without an answer", "two branches", start)
    return Split(key, values, yes, no)


def _write_node(writer: KaldiWriter, node: Node | None) -> None:
    if node is None:
        writer.token("NULL")
    elif isinstance(node, Leaf):
        writer.token("CE")
        writer.integer(node.answer)
    elif isinstance(node, Table):
        writer.token("TE")
        writer.integer(node.key)
        writer.integer(len(node.branches), unsigned=True)
        writer.token("(")
        for branch in node.branches:
            _write_node(writer, branch)
        writer.token(")")
        writer.line_end()
    else:
        writer.token("SE")
        writer.integer(node.key)
        writer.integers(node.values)
        writer.token("{")
        _write_node(writer, node.yes)
        _write_node(writer, node.no)
        writer.token("}")
        writer.line_end()
