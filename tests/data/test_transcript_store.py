"""Graphs of transcripts survive their store, and damage to it is named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from asr_hf.data.transcript_graph import ARC, STATE, TranscriptGraph
from asr_hf.data.transcript_store import TranscriptStore, write_transcripts
from asr_hf.runtime.errors import InputError

PDFS = 6


def chain(utterance: str, phones: int, frames: int) -> TranscriptGraph:
    """Phones one behind the other, the second of which may be left out."""
    ends = [(n, n + 1, 0.5) for n in range(phones)] + [(1, 3, 0.25)] * (phones > 2)
    states = np.zeros(phones + 1, STATE)
    states["first"], states["rest"] = np.arange(phones + 1) % PDFS, 2
    states["stay"][1:], states["final"][-1] = 0.5, 1
    return TranscriptGraph(utterance, np.array(sorted(ends), ARC), states, frames)


@pytest.fixture
def graphs() -> list[TranscriptGraph]:
    return [chain("b", 5, 9), chain("ü", 1, 1), chain("a", 3, 4)]


@pytest.fixture
def folder(tmp_path: Path, graphs: list[TranscriptGraph]) -> Path:
    write_transcripts(tmp_path / "train", graphs, PDFS, {"skipped": {"x": "no words"}})
    return tmp_path / "train"


def test_graphs_come_back(folder, graphs):
    store = TranscriptStore.open(folder)
    assert store.utterances == ["b", "ü", "a"] and store.num_pdfs == PDFS
    assert store.about["skipped"] == {"x": "no words"} and store.has_checksums
    for graph in graphs:
        found = store.graph(graph.utterance)
        np.testing.assert_array_equal(found.arcs, graph.arcs)
        np.testing.assert_array_equal(found.states, graph.states)
        assert found.num_frames == store.num_frames(graph.utterance) == graph.num_frames
    assert list(store.check()) == [9, 1, 4]
    assert set(store.digests()) == {"graphs.json", "arcs.bin"}


def test_the_shortest_path_counts_frames():
    assert [chain("u", n, 9).least_frames for n in (1, 2, 3, 5)] == [1, 2, 2, 4]


def test_what_is_not_there_is_named(folder, tmp_path):
    with pytest.raises(InputError, match="no graph of c"):
        TranscriptStore.open(folder).graph("c")
    with pytest.raises(InputError, match="no graphs of transcripts"):
        TranscriptStore.open(tmp_path)


@pytest.mark.parametrize("name", ["arcs.bin", "states.bin"])
def test_a_flipped_bit_is_seen(folder, name):
    raw = bytearray((folder / name).read_bytes())
    raw[40] ^= 1
    (folder / name).write_bytes(raw)
    with pytest.raises(InputError, match="its checksum is wrong"):
        list(TranscriptStore.open(folder).check())


@pytest.mark.parametrize("name", ["offsets.npy", "frames.npy", "utterances.txt", "graphs.json"])
def test_a_damaged_small_file_is_seen(folder, name):
    (folder / name).write_bytes((folder / name).read_bytes()[:-3])
    with pytest.raises(InputError, match=name):
        list(TranscriptStore.open(folder).check())


def test_a_file_of_another_store_is_seen(folder):
    (folder / "arcs.bin").write_bytes(b"")
    with pytest.raises(InputError, match="truncated or of another store"):
        TranscriptStore.open(folder)
    about = json.loads((folder / "graphs.json").read_text()) | {"format": "other"}
    (folder / "graphs.json").write_text(json.dumps(about))
    with pytest.raises(InputError, match="format 'other'"):
        TranscriptStore.open(folder)


FAULTS = {
    "leads backwards": lambda a, s: a["target"].__setitem__(0, 0),
    "state is out of range": lambda a, s: a["target"].__setitem__(0, 99),
    "pdf is out of range": lambda a, s: s["rest"].__setitem__(1, PDFS),
    "arc is no probability": lambda a, s: a["weight"].__setitem__(0, np.nan),
    "state is no probability": lambda a, s: s["stay"].__setitem__(1, -1.0),
    "may be in the start": lambda a, s: s["stay"].__setitem__(0, 0.5),
    "no last state": lambda a, s: s["final"].fill(0),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_graph_is_refused(fault):
    graph = chain("u", 3, 9)
    graph.check(PDFS)
    FAULTS[fault](graph.arcs, graph.states)
    with pytest.raises(InputError, match=f"u: bad graph of a transcript: .*{fault}"):
        graph.check(PDFS)
