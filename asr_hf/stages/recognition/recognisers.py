"""Turns scores into words, with the graphs that asr-hf align made or with one of Kaldi's."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from asr_hf.data.fields import words_of
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.hmm.alignment.corpus import transcripts_of
from asr_hf.hmm.alignment.segments import Segment, phone_segments, phone_spans, word_segments
from asr_hf.hmm.alignment.spoken_path import Transcript
from asr_hf.hmm.graph.states import states_digest
from asr_hf.hmm.scores import PdfColumns
from asr_hf.hmm.search.decode import DecoderSource, SearchOptions
from asr_hf.hmm.search.search import BestPath
from asr_hf.hmm.system import HmmSystem
from asr_hf.kaldi.graph import KaldiGraph
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.provenance import Source
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.expected import states_fit
from asr_hf.stages.sources.kaldi_sets import decode_data, kaldi_sets
from asr_hf.stages.sources.layout import chosen_by, system_folder

log = logging.getLogger(__name__)

Recognised = tuple[list[str], list[Segment]]


class Recogniser(Protocol):
    """Decoding graphs, and the meaning of their labels.

    Attributes:
        languages: languages that have a graph.
        source: graphs, pdfs and options of the search.
        tells_times: whether the times of words are known, for paths that reach the end.
        sources: sources that identify the graphs, by their role.
    """

    languages: list[str]
    source: DecoderSource
    tells_times: bool
    sources: dict[str, Source]

    def check_model(self, about: Mapping[str, Any], path: Path) -> None:
        """Refuse a model whose outputs stand for other HMM states than those of the graphs.

        Args:
            about: description in the model file.
            path: model file.

        Raises:
            InputError: the outputs stand for other states.
        """
        ...

    def transcripts(self, name: str) -> dict[str, Transcript]:
        """Return the transcripts of a set, by utterance."""
        ...

    def words(self, path: BestPath, language: str) -> list[str]:
        """Return the words of a path."""
        ...

    def recognised(self, path: BestPath, language: str) -> Recognised:
        """Return the words of a path and their times; no times where these are not known."""
        ...


def recogniser(settings: Settings) -> Recogniser:
    """Make the recogniser of `decode.graph`, or of the graphs of the corpus.

    Args:
        settings: settings of the command.

    Returns:
        The recogniser.

    Raises:
        InputError: there is no such graph, or no HMM system.
    """
    search = search_options(settings)
    if settings.decode.graph is not None:
        return KaldiRecogniser(settings, settings.decode.graph, search)
    return OwnRecogniser(settings, search)


def search_options(settings: Settings) -> SearchOptions:
    """Return the options of the search that settings ask for."""
    options = settings.decode
    return SearchOptions(
        options.beam,
        options.lattice_beam,
        options.max_active,
        options.max_arcs_per_frame,
        options.lattice_scale,
    )


class SystemWords:
    """The meaning of the labels of an HMM system's own graphs.

    Args:
        system: the system.
        source: graphs, pdfs and options of the search.

    Attributes:
        languages: languages that have a graph.
        source: graphs, pdfs and options of the search.
    """

    def __init__(self, system: HmmSystem, source: DecoderSource) -> None:
        self._system, self.source = system, source
        self.languages = list(system.languages)

    def words(self, path: BestPath, language: str) -> list[str]:
        """Return the words of a path."""
        symbols = self._system.languages[language].words.symbols
        return [symbols[word] for word in path.words]

    def recognised(self, path: BestPath, language: str) -> Recognised:
        """Return the words of a path and their times; none where the path was cut short."""
        words = self.words(path, language)
        phones = phone_segments(path.transition_ids, self._system.transitions, self._system.phones)
        pronunciations = self._system.languages[language].lexicon.pronunciations
        return words, word_segments(phones, words, pronunciations) or []


class OwnRecogniser(SystemWords):
    """A recogniser with the HMM system and the graphs that asr-hf align made."""

    tells_times = True

    def __init__(self, settings: Settings, search: SearchOptions) -> None:
        hmms, self._corpus = system_folder(settings), settings.corpus.dir
        if not (hmms / "hmm.json").is_file():
            raise InputError(
                f"{hmms}: no HMM system, so there is nothing to decode with",
                expected="phones, transition model and graphs made by asr-hf align",
                remedy=f"run asr-hf align {chosen_by(settings)} without alignment.from_ark, "
                "or name a graph of Kaldi's with decode.graph=DIR",
            )
        system = HmmSystem.load(hmms)
        super().__init__(system, system.decoder_source(hmms, search))
        models = {name: self._corpus / "lang" / name / "lm.arpa" for name in self.languages}
        self.sources = system.make_graphs(hmms, models)
        self._hmms = hmms

    def check_model(self, about: Mapping[str, Any], path: Path) -> None:
        """See `Recogniser`."""
        states_fit(states_digest(self._hmms), about, path, self._hmms)

    def transcripts(self, name: str) -> dict[str, Transcript]:
        """See `Recogniser`."""
        return transcripts_of(DataDir.read(self._corpus / name), self.languages)


class KaldiRecogniser:
    """A recogniser with a graph of Kaldi's, for a corpus in Kaldi's folders or any other."""

    def __init__(self, settings: Settings, folder: Path, search: SearchOptions) -> None:
        self.languages = ["any"]
        self._graph = KaldiGraph.open(folder)
        self.tells_times = self._graph.pronunciations is not None
        if not self.tells_times:
            lexicon = "phones/align_lexicon.int"
            log.warning("%s: no %s, so words have no times", folder, lexicon)
        self._corpus = settings.corpus.dir
        # No sets of Kaldi's for other corpora, which may have some to decode all the same.
        self._sets, self._decode_data = kaldi_sets(settings), decode_data(settings)
        for name in (settings.decode.tune_on, *settings.decode.sets):
            self._check(name)
        transitions = self._graph.transitions
        self.source = DecoderSource(
            PdfColumns(transitions.pdf_of, transitions.num_pdfs),
            {"any": (self._graph.fst, len(self._graph.words) - 1)},
            search,
        )
        self.sources = {"graph": Source.of_file(self._graph.fst)}

    def check_model(self, about: Mapping[str, Any], path: Path) -> None:
        """See `Recogniser`; the states of a graph of Kaldi's are not known."""

    def transcripts(self, name: str) -> dict[str, Transcript]:
        """See `Recogniser`."""
        transcripts = {}
        for utterance in self._data(name).utterances:
            if utterance.text is None:
                raise InputError(
                    f"{name}: utterance {utterance.id} has no transcript to score against",
                    expected="a file text beside utt2spk",
                    remedy="add it, or decode Kaldi's way: asr-hf export loglikes",
                )
            transcripts[utterance.id] = Transcript(words_of(utterance.text), "any")
        return transcripts

    def _data(self, name: str) -> DataDir:
        if name in self._decode_data:
            return self._decode_data[name]
        return self._sets[name] if self._sets else DataDir.read(self._corpus / name)

    def _check(self, name: str) -> None:
        """Check that a set exists.

        Raises:
            InputError: there is no such set.
        """
        known = {**self._sets, **self._decode_data}
        if name not in known and (self._sets or not (self._corpus / name).is_dir()):
            raise InputError(
                f"decode.sets, decode.tune_on: there is no set {name!r}",
                expected=f"one of {', '.join(known) or f'those in {self._corpus}'}",
                remedy=f"name its data directory: +corpus.decode_data.{name}=data/{name}",
            )

    def words(self, path: BestPath, language: str) -> list[str]:
        """See `Recogniser`."""
        return [self._graph.words[word] for word in path.words]

    def recognised(self, path: BestPath, language: str) -> Recognised:
        """See `Recogniser`."""
        words = self.words(path, language)
        entries = self._graph.pronunciations
        if entries is None:
            return words, []
        spans = phone_spans(path.transition_ids, self._graph.transitions)
        phones = [Segment(str(phone), start, frames) for phone, start, frames in spans]
        return words, word_segments(
            phones, words, entries, entries.get(self._graph.words[0], ())
        ) or []
