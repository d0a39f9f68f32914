"""Keeps the transcript graphs of a set in a few files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from asr_hf.data.header import Header
from asr_hf.data.transcript_graph import ARC, STATE, TranscriptGraph
from asr_hf.data.utterance_store import StoreForm, UtteranceStore
from asr_hf.data.utterance_writer import Item, write_header, write_items
from asr_hf.runtime.files import replaced_folder

HEADER = "graphs.json"
FORM = StoreForm(
    name="asr-hf-transcript-graphs-1",
    header=HEADER,
    files={"arcs.bin": ARC, "states.bin": STATE},
    item="graph",
    items="graphs of transcripts",
    verb="asr-hf align",
)
_MOST_PDFS = 10_000_000


class TranscriptStore(UtteranceStore):
    """A store of transcript graphs that is open for reading; see `open`.

    Args:
        folder: folder of the store.
        header: description of the store.

    Attributes:
        folder: folder of the store.
        about: content of graphs.json.
        num_pdfs: number of pdfs.
    """

    form = FORM

    def __init__(self, folder: Path, header: Header) -> None:
        super().__init__(folder, header)
        self.num_pdfs = header.count("pdfs", 1, _MOST_PDFS)

    def graph(self, name: str) -> TranscriptGraph:
        """Return the graph of an utterance.

        Its checksum is compared, and its form is checked when it is read for the first time.

        Args:
            name: name of the utterance.

        Raises:
            InputError: the utterance has no graph, or a damaged one.
        """
        (number,) = self._numbers(name)
        arcs, states = self._read(name, number)
        graph = TranscriptGraph(name, arcs, states, self.num_frames(name))
        self._check_once(number, lambda: graph.check(self.num_pdfs))
        return graph

    def _touch(self, name: str) -> None:
        self.graph(name)


def write_transcripts(
    folder: Path, graphs: Iterable[TranscriptGraph], num_pdfs: int, about: Mapping[str, Any]
) -> dict[str, Any]:
    """Write a store of transcript graphs, which takes the place of `folder` when it is whole.

    Args:
        folder: folder of the store.
        graphs: the graphs, in the order of the store.
        num_pdfs: number of pdfs.
        about: values that graphs.json holds beside the counts; read when the graphs are written.

    Returns:
        The content of graphs.json.

    Raises:
        RunError: the disk is full, or the folder is read-only.
    """
    items = (Item(one.utterance, one.num_frames, (one.arcs, one.states)) for one in graphs)
    with replaced_folder(folder) as part:
        made = write_items(part, FORM, items)
        counts = {"utterances": made.utterances, "pdfs": num_pdfs, "frames": made.frames}
        return write_header(part, FORM, counts | dict(made.rows) | dict(about))
