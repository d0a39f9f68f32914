"""HMM topologies as Kaldi's models hold them, with pdfs that belong to states or to arcs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from asr_hf.kaldi.reader import KaldiReader
from asr_hf.kaldi.writer import KaldiWriter

NO_PDF = -1
_EXTENDED = -1


@dataclass(frozen=True)
class TopologyState:
    """One state of a phone.

    Args:
        forward_class: pdf class of transitions that leave it; -1 where it emits nothing.
        loop_class: pdf class of its self-loop; equal to forward_class in an ordinary HMM.
        transitions: the next states and their initial probabilities.
    """

    forward_class: int
    loop_class: int
    transitions: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Topology:
    """The states of every phone; the last state of each is where it ends.

    Args:
        entries: kinds of phones, each a list of states.
        entry_of: kind of each phone id [phones + 1], -1 for ids that are no phone.
    """

    entries: tuple[tuple[TopologyState, ...], ...]
    entry_of: tuple[int, ...]

    @property
    def phones(self) -> list[int]:
        """The phone ids, rising."""
        return [phone for phone, entry in enumerate(self.entry_of) if entry >= 0]

    @property
    def is_hmm(self) -> bool:
        """Whether every state has one pdf, as in all of Kaldi's models before 2015."""
        return all(s.forward_class == s.loop_class for entry in self.entries for s in entry)

    def states(self, phone: int) -> tuple[TopologyState, ...]:
        """Look up the states of a phone; none for an id that is no phone."""
        is_phone = 0 <= phone < len(self.entry_of) and self.entry_of[phone] >= 0
        return self.entries[self.entry_of[phone]] if is_phone else ()

    @classmethod
    def read(cls, reader: KaldiReader) -> Topology:
        """Read a topology.

        Returns:
            The topology.

        Raises:
            InputError: it is damaged; the message names the place.
        """
        start = reader.at
        reader.expect("<Topology>")
        entries, entry_of = _read_binary(reader) if reader.binary else _read_text(reader)
        reader.expect("</Topology>")
        for entry in entries:
            for state in entry:
                if any(not 0 <= to < len(entry) for to, _ in state.transitions):
                    reader.fail("a transition to no state", "a topology", start)
        if not entries or any(not -1 <= index < len(entries) for index in entry_of):
            reader.fail("phones without states", "a topology", start)
        return cls(tuple(entries), tuple(entry_of))

    def write(self, writer: KaldiWriter) -> None:
        """Write the topology."""
        writer.token("<Topology>")
        if writer.binary:
            self._write_binary(writer)
        else:
            self._write_text(writer)
        writer.token("</Topology>")
        writer.line_end()

    def _write_binary(self, writer: KaldiWriter) -> None:
        writer.integers(self.phones)
        writer.integers(self.entry_of)
        hmm = self.is_hmm
        if not hmm:
            writer.integer(_EXTENDED)
        writer.integer(len(self.entries))
        for entry in self.entries:
            writer.integer(len(entry))
            for state in entry:
                writer.integer(state.forward_class)
                if not hmm:
                    writer.integer(state.loop_class)
                writer.integer(len(state.transitions))
                for to, probability in state.transitions:
                    writer.integer(to)
                    writer.number(probability)

    def _write_text(self, writer: KaldiWriter) -> None:
        writer.line_end()
        hmm = self.is_hmm
        for index, entry in enumerate(self.entries):
            writer.token("<TopologyEntry>")
            writer.line_end()
            writer.token("<ForPhones>")
            writer.line_end()
            writer.integer(*(p for p, kind in enumerate(self.entry_of) if kind == index))
            writer.line_end()
            writer.token("</ForPhones>")
            writer.line_end()
            for number, state in enumerate(entry):
                _write_state(writer, number, state, hmm)
            writer.token("</TopologyEntry>")
            writer.line_end()


def _write_state(writer: KaldiWriter, number: int, state: TopologyState, hmm: bool) -> None:
    writer.token("<State>")
    writer.integer(number)
    if state.forward_class != NO_PDF:
        writer.token("<PdfClass>" if hmm else "<ForwardPdfClass>")
        writer.integer(state.forward_class)
        if not hmm:
            writer.token("<SelfLoopPdfClass>")
            writer.integer(state.loop_class)
    for to, probability in state.transitions:
        writer.token("<Transition>")
        writer.integer(to)
        writer.number(probability)
    writer.token("</State>")
    writer.line_end()


Entries = list[tuple[TopologyState, ...]]


def _read_binary(reader: KaldiReader) -> tuple[Entries, list[int]]:
    start = reader.at
    phones = reader.integers("phones")
    entry_of: NDArray[np.int32] = reader.integers("entry of each phone")
    if not np.array_equal(phones, np.flatnonzero(entry_of >= 0)):
        reader.fail("phones that do not fit their entries", "rising phone ids", start)
    before = reader.at
    extended = reader.integer("topology entries") == _EXTENDED
    if not extended:
        reader.at = before
    entries: Entries = []
    for _ in range(reader.count("topology entries")):
        states = []
        for _ in range(reader.count("states")):
            forward = reader.integer("pdf class")
            loop = reader.integer("pdf class") if extended else forward
            count = reader.count("transitions")
            transitions = tuple(
                (reader.integer("state"), reader.number("probability")) for _ in range(count)
            )
            states.append(TopologyState(forward, loop, transitions))
        entries.append(tuple(states))
    return entries, entry_of.tolist()


def _read_text(reader: KaldiReader) -> tuple[Entries, list[int]]:
    entries: Entries = []
    entry_of: dict[int, int] = {}
    while reader.next_is("<TopologyEntry>"):
        reader.expect("<TopologyEntry>")
        reader.expect("<ForPhones>")
        while not reader.next_is("</ForPhones>"):
            start = reader.at
            phone = reader.integer("a phone")
            # Ids are dense; a huge one would only make a huge table.
            if not 0 < phone <= len(reader.data) or phone in entry_of:
                reader.fail(f"phone {phone}", "each phone once, ids from 1", start)
            entry_of[phone] = len(entries)
        reader.expect("</ForPhones>")
        states: list[TopologyState] = []
        while reader.next_is("<State>"):
            states.append(_read_state(reader, len(states)))
        reader.expect("</TopologyEntry>")
        entries.append(tuple(states))
    return entries, [entry_of.get(phone, -1) for phone in range(max(entry_of, default=-1) + 1)]


def _read_state(reader: KaldiReader, number: int) -> TopologyState:
    start = reader.at
    reader.expect("<State>")
    if (declared := reader.integer("a state")) != number:
        reader.fail(f"state {declared}", f"state {number}", start)
    forward = loop = NO_PDF
    if reader.next_is("<PdfClass>", "<ForwardPdfClass>"):
        extended = reader.token() == "<ForwardPdfClass>"
        forward = loop = reader.integer("pdf class")
        if extended:
            reader.expect("<SelfLoopPdfClass>")
            loop = reader.integer("pdf class")
    transitions = []
    while reader.expect("<Transition>", "</State>") == "<Transition>":
        transitions.append((reader.integer("state"), reader.number("probability")))
    return TopologyState(forward, loop, tuple(transitions))
