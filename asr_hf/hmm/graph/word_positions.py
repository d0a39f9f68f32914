"""Phones marked by their place in the word, as Kaldi's and Vosk's word times need them.

Their HMM states are those of the phones that they are marked forms of, so that a network of these
fits; transitions, lexicon and decoding graph are new.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from asr_hf.hmm.graph.language import Language
from asr_hf.hmm.graph.lexicon import SILENCE, Lexicon, Pronunciation, SymbolTable
from asr_hf.hmm.graph.transitions import TransitionModel
from asr_hf.kaldi.tree import PDF_CLASS, ContextDependency, Leaf, Node, Split, Table

# Kaldi's markers, and their names in word_boundary.int.
_MARKERS = {"B": "begin", "I": "internal", "E": "end", "S": "singleton"}


@dataclass(frozen=True)
class MarkedPhones:
    """Phones marked by their place in the word, and what is made of them.

    Args:
        phones: the marked phones; silence between words has no mark.
        origin: id of the phone that each is a form of [phones], 0 for epsilon.
        transitions: transition model over the marked phones.
        languages: lexicon over the marked phones, by language.
    """

    phones: SymbolTable
    origin: tuple[int, ...]
    transitions: TransitionModel
    languages: dict[str, Language]

    @classmethod
    def of(
        cls,
        phones: SymbolTable,
        transitions: TransitionModel,
        languages: Mapping[str, Language],
    ) -> MarkedPhones:
        """Mark the phones of a system.

        Args:
            phones: its phones.
            transitions: its transition model.
            languages: its languages.

        Returns:
            The marked phones.
        """
        lexicons = {name: _marked(language.lexicon) for name, language in languages.items()}
        used = set[str]().union(*(lexicon.phones for lexicon in lexicons.values()))
        # The network has outputs for phones of no word too, as after adaptation to few words.
        idle = {*phones.symbols[1:]} - {_unmarked(name) for name in used} - {SILENCE}
        forms = sorted(used | {f"{phone}_S" for phone in idle})
        marked = SymbolTable(("<eps>", SILENCE, *forms))
        names = [SILENCE, *map(_unmarked, forms)]
        origin = (0, *phones.ids(names))
        return cls(
            marked,
            origin,
            _transitions(transitions, origin),
            {name: Language(lexicon, marked) for name, lexicon in lexicons.items()},
        )

    def word_boundaries(self) -> str:
        """Write Kaldi's word_boundary.int: each phone's id and its place in the word."""
        lines = []
        for number, name in enumerate(self.phones.symbols[1:], 1):
            marker = name.rpartition("_")[2]
            lines.append(f"{number} {'nonword' if name == SILENCE else _MARKERS[marker]}\n")
        return "".join(lines)


def _unmarked(name: str) -> str:
    return name.rpartition("_")[0]


def _marked(lexicon: Lexicon) -> Lexicon:
    entries = lexicon.pronunciations.items()
    marked = {word: tuple(map(_marked_variant, variants)) for word, variants in entries}
    return Lexicon(lexicon.language, marked)


def _marked_variant(phones: Pronunciation) -> Pronunciation:
    if len(phones) == 1:
        return (f"{phones[0]}_S",)
    inside = (f"{phone}_I" for phone in phones[1:-1])
    return (f"{phones[0]}_B", *inside, f"{phones[-1]}_E")


def _transitions(known: TransitionModel, origin: tuple[int, ...]) -> TransitionModel:
    """Return a transition model over marked phones, with the probabilities of their origins."""
    forms: dict[int, list[int]] = {}
    for number, phone in enumerate(origin):
        forms.setdefault(phone, []).append(number)

    def marked_phones(match: re.Match[str]) -> str:
        ids = (number for phone in match[2].split() for number in forms.get(int(phone), []))
        return f"{match[1]}\n{' '.join(map(str, ids))}\n{match[3]}"

    topology = re.sub(r"(<ForPhones>)([\d\s]+)(</ForPhones>)", marked_phones, known.topology)
    tree = known.tree or _monophone_tree(known)
    marked = TransitionModel(topology, tree=_marked_tree(tree, forms, origin))
    numbers, known_log_probs, log_probs = known.numbers, known.log_probs, marked.log_probs.copy()
    for (phone, state, pdf), onward in marked.numbers.items():
        original = numbers[origin[phone], state, pdf]
        for target, number in onward.items():
            log_probs[number] = known_log_probs[original[target]]
    marked.set_log_probs(log_probs)
    return marked


def _monophone_tree(transitions: TransitionModel) -> ContextDependency:
    """Return monophones as a tree that looks at one phone."""
    count = int(transitions.phone_of.max())
    kinds = [
        Table(PDF_CLASS, tuple(Leaf(int(pdf)) for pdf in transitions.pdfs_of_phone(phone)))
        for phone in range(1, count + 1)
    ]
    return ContextDependency(1, 0, Table(0, (None, *kinds)))


def _marked_tree(
    tree: ContextDependency, forms: Mapping[int, list[int]], origin: tuple[int, ...]
) -> ContextDependency:
    """Return the tree that answers for marked phones as `tree` does for their origins."""

    def marked(node: Node) -> Node:
        if isinstance(node, Leaf):
            return node
        if isinstance(node, Split):
            values = node.values
            if node.key != PDF_CLASS:
                values = tuple(sorted(n for phone in values for n in forms.get(phone, [])))
            return Split(node.key, values, marked(node.yes), marked(node.no))
        branches = [None if branch is None else marked(branch) for branch in node.branches]
        if node.key != PDF_CLASS:
            branches = [branches[phone] for phone in origin]
        return Table(node.key, tuple(branches))

    return ContextDependency(tree.width, tree.central, marked(tree.root))
