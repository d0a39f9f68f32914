"""A whole HMM system on disk: phones, topology, transitions, lexicons, GMM, decoding graphs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_hf.hmm.gmm.gmm import Gmm
from asr_hf.hmm.graph import fst as fsts
from asr_hf.hmm.graph.language import Language
from asr_hf.hmm.graph.lexicon import Lexicon, SymbolTable, phone_table, read_lexicon
from asr_hf.hmm.graph.states import TREE
from asr_hf.hmm.graph.topology import SUBSAMPLINGS, topology_text
from asr_hf.hmm.graph.transition_table import read_log_probs, transitions_text
from asr_hf.hmm.graph.transitions import TransitionModel
from asr_hf.hmm.scores import PdfColumns
from asr_hf.hmm.search.decode import DecoderSource, SearchOptions
from asr_hf.kaldi.tree import ContextDependency, Leaf, Split, Table, read_tree
from asr_hf.kaldi.writer import KaldiWriter
from asr_hf.runtime.artefact import current_or_make
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json, write_json, write_text
from asr_hf.runtime.provenance import ArtefactSpec, Source

_LANGUAGE = re.compile(r"\w[\w.-]{0,99}")
_MAX_STATES = 100
_REMEDY = "remove the folder and run asr-hf align again"


@dataclass
class HmmSystem:
    """One joint transition model for the phones of all languages, and what belongs to it.

    Attributes:
        phones: the joint phone table.
        transitions: the transition model.
        languages: lexicon and word table by language.
        gmm: the trained mixtures; None until there are any.
        subsampling: k, where the HMMs emit every k-th frame.
    """

    phones: SymbolTable
    transitions: TransitionModel
    languages: dict[str, Language]
    gmm: Gmm | None = None
    subsampling: int = 1

    @classmethod
    def create(cls, lexicons: Iterable[Lexicon]) -> HmmSystem:
        """Make an untrained system for the phones of `lexicons`."""
        lexicons = list(lexicons)
        phones = phone_table(lexicons)
        languages = {lexicon.language: Language(lexicon, phones) for lexicon in lexicons}
        return cls(phones, TransitionModel(topology_text(phones)), languages)

    def tied(self, tree: ContextDependency) -> HmmSystem:
        """Make an untrained system for the same languages, its states tied by `tree`."""
        transitions = TransitionModel(self.transitions.topology, tree=tree)
        return HmmSystem(self.phones, transitions, self.languages)

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write the system as text, and the mixtures as npz."""
        folder = Path(folder)
        write_text(folder / "phones.txt", self.phones.text())
        write_text(folder / "topo", self.transitions.topology)
        write_text(folder / "transitions.txt", transitions_text(self.transitions, self.phones))
        for name, language in self.languages.items():
            write_text(folder / "lang" / name / "lexicon.txt", language.lexicon.text())
            write_text(folder / "lang" / name / "words.txt", language.words.text())
        if self.gmm is not None:
            self.gmm.save(folder / "gmm.npz")
        about = {
            "languages": list(self.languages),
            "pdfs": self.transitions.num_pdfs,
            "transition_ids": self.transitions.num_transition_ids,
            "gaussians": None if self.gmm is None else self.gmm.num_gaussians,
        }
        if self.transitions.tree is not None:
            write_text(folder / TREE, _tree_text(self.transitions.tree))
            about["tree"] = TREE
        if self.subsampling > 1:
            about["subsampling"] = self.subsampling
        write_json(folder / "hmm.json", about)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> HmmSystem:
        """Read a system written by `save`.

        Returns:
            The system.

        Raises:
            InputError: a file is missing or does not fit the others.
        """
        folder = Path(folder)
        about = read_json(folder / "hmm.json")
        names = about.get("languages") if isinstance(about, dict) else None
        # Each is a folder's name, which leads nowhere else.
        if not isinstance(names, list) or not all(
            isinstance(name, str) and _LANGUAGE.fullmatch(name) for name in names
        ):
            raise InputError(
                f"{folder / 'hmm.json'}: languages are {str(names)[:80]}",
                expected="a list of their names",
                remedy=_REMEDY,
            )
        phones = SymbolTable.read(folder / "phones.txt")
        # A tree without mention is left over from another system.
        tree = read_tree(folder / TREE) if "tree" in about else None
        transitions = _read_transitions(folder, phones, tree)
        languages = {
            name: Language(read_lexicon(folder / "lang" / name / "lexicon.txt", name), phones)
            for name in names
        }
        gmm = Gmm.load(folder / "gmm.npz") if about.get("gaussians") else None
        return cls(phones, transitions, languages, gmm, _subsampling(about, folder))

    def require_gmm(self) -> Gmm:
        """Return the mixtures.

        Raises:
            InputError: there are none.
        """
        if self.gmm is None:
            raise InputError("the HMM system has no GMM", remedy="run asr-hf align")
        return self.gmm

    def language(self, name: str, utterance: str) -> Language:
        """Look up the language `name` of `utterance`.

        Returns:
            The language.

        Raises:
            InputError: the system has no such language.
        """
        if name not in self.languages:
            raise InputError(
                f"{utterance}: its language {name!r} has no lexicon",
                expected=f"one of {', '.join(self.languages)}",
                remedy="mend utt2lang, or add the language to corpus.languages",
            )
        return self.languages[name]

    def make_graphs(
        self, folder: str | os.PathLike[str], models: Mapping[str, Path]
    ) -> dict[str, Source]:
        """Make each language's decoding graph in `folder`/graph, unless it is there already.

        Args:
            folder: the folder that the system is saved in.
            models: the ARPA language model of each language.

        Returns:
            An identification of each graph, by name.

        Raises:
            InputError: a language model is missing or has words outside the lexicon.
        """
        graphs = {}
        for name, arpa in models.items():
            language = self.languages[name]

            def make(
                part_folder: Path, language: Language = language, arpa: Path = arpa
            ) -> dict[str, Any]:
                fsts.write(
                    language.decoding_graph(arpa, self.transitions), part_folder / "HCLG.fst"
                )
                return {}

            graph = current_or_make(
                graph_folder(folder, name), self._graph_wanted(name, arpa), make
            )
            graphs[f"graph of {name}"] = Source(graph.digest)
        return graphs

    def _graph_wanted(self, name: str, arpa: Path) -> ArtefactSpec:
        if not arpa.is_file():
            raise InputError(
                f"{arpa}: there is no such language model", remedy="run asr-hf prepare"
            )
        tree = "" if self.transitions.tree is None else _tree_text(self.transitions.tree)
        log_probs = self.transitions.log_probs.tobytes().hex()
        sources = {
            "language model": Source.of_file(arpa),
            "lexicon": Source.of_values(self.languages[name].lexicon.text(), self.phones.text()),
            "transitions": Source.of_values(self.transitions.topology, tree, log_probs),
        }
        return ArtefactSpec("decoding graph", {}, sources)

    def decoder_source(
        self, folder: str | os.PathLike[str], options: SearchOptions
    ) -> DecoderSource:
        """Collect what `asr_hf.hmm.search.decode.decode_all` needs, by file name."""
        return DecoderSource(
            PdfColumns(self.transitions.pdf_of, self.transitions.num_pdfs),
            {
                name: (graph_folder(folder, name) / "HCLG.fst", len(language.words) - 1)
                for name, language in self.languages.items()
            },
            options,
        )


# What a system is sent to another process as.
HMM_KINDS = (
    *(HmmSystem, SymbolTable, TransitionModel, Language, Lexicon, Gmm),
    *(ContextDependency, Leaf, Table, Split),
)


def _tree_text(tree: ContextDependency) -> str:
    writer = KaldiWriter(binary=False)
    tree.write(writer)
    return writer.contents().decode()


def _read_transitions(
    folder: Path, phones: SymbolTable, tree: ContextDependency | None
) -> TransitionModel:
    """Read the transition model in `folder`.

    Returns:
        The model.

    Raises:
        InputError: a file is missing or damaged, or does not fit phones or tree.
    """
    path = folder / "topo"
    try:
        topology = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read: {error}", remedy=_REMEDY) from error
    # Kaldi's code takes memory for the largest phone and state that are mentioned.
    max_number = max(len(phones), _MAX_STATES)
    for number in re.findall(r"\d+", topology):
        if len(number) > 10 or (int(number) > max_number and "." + number not in topology):
            raise InputError(
                f"{path}: the number {number[:20]}",
                expected=f"phones and states up to {max_number}, as in phones.txt",
                remedy=_REMEDY,
            )
    try:
        return TransitionModel(topology, read_log_probs(folder / "transitions.txt"), tree)
    except InputError as error:
        raise InputError(
            f"{folder}: {error.problem}", expected=error.expected, remedy=error.remedy or _REMEDY
        ) from error


def _subsampling(about: Mapping[str, Any], folder: Path) -> int:
    every = about.get("subsampling", 1)
    if type(every) is not int or every not in SUBSAMPLINGS:
        raise InputError(
            f"{folder / 'hmm.json'}: subsampling {str(every)[:20]}",
            expected=f"one of {', '.join(map(str, SUBSAMPLINGS))}",
            remedy=_REMEDY,
        )
    return every


def graph_folder(folder: str | os.PathLike[str], language: str) -> Path:
    """Name the folder of a language's decoding graph."""
    return Path(folder) / "graph" / language
