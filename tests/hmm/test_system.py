from __future__ import annotations

import numpy as np
import pytest

from asr_hf.hmm.gmm.gmm import Gmm
from asr_hf.hmm.graph import fst as fsts
from asr_hf.hmm.graph.lexicon import Lexicon, phone_table
from asr_hf.hmm.graph.topology import topology_text
from asr_hf.hmm.graph.transition_table import read_log_probs
from asr_hf.hmm.graph.transitions import TransitionModel
from asr_hf.hmm.lattice.lattices import label_map
from asr_hf.hmm.system import HmmSystem, graph_folder
from asr_hf.runtime.errors import InputError


@pytest.fixture
def trained(system):
    counts = np.random.default_rng(0).integers(1, 500, system.transitions.num_transition_ids + 1)
    system.transitions.update(counts)
    system.gmm = Gmm.single(np.zeros(3), np.ones(3), system.transitions.num_pdfs)
    return system


def test_topology_has_three_states_a_phone_and_five_for_silence(lexicon):
    phones = phone_table([lexicon])
    transitions = TransitionModel(topology_text(phones))
    sizes = [len(transitions.pdfs_of_phone(i)) for i in range(1, len(phones))]
    assert sizes == [5, 3, 3]
    assert transitions.num_pdfs == 11


def test_noises_and_laughter_have_the_model_of_silence_and_are_no_speech_in_lattices():
    noises = {"[noise]": (("nsn",),), "[laughter]": (("lau",),), "<unk>": (("spn",),)}
    system = HmmSystem.create([Lexicon("en", {**noises, "a": (("en_a",),)})])
    sizes = {
        system.phones.symbols[i]: len(system.transitions.pdfs_of_phone(i))
        for i in range(1, len(system.phones))
    }
    assert sizes == {"sil": 5, "spn": 5, "nsn": 5, "lau": 5, "en_a": 3}
    assert system.transitions.num_pdfs == 23
    silence = {system.phones.symbols[p] for p in label_map(system).silence_phones}
    assert silence == {"sil", "spn", "nsn", "lau"}


def test_transition_probabilities_follow_the_counts(system):
    transitions = system.transitions
    counts = np.zeros(transitions.num_transition_ids + 1, np.int64)
    first = int(np.flatnonzero(transitions.phone_of == system.phones.id("en_a"))[0])
    assert transitions.is_self_loop[first]
    counts[first], counts[first + 1] = 900, 100
    transitions.update(counts)
    np.testing.assert_allclose(np.exp(transitions.log_probs[[first, first + 1]]), [0.9, 0.1], 1e-5)


def test_saved_system_is_the_same_bit_for_bit(trained, arpa, tmp_path):
    trained.save(tmp_path / "align")
    again = HmmSystem.load(tmp_path / "align")
    assert again.transitions.log_probs.tobytes() == trained.transitions.log_probs.tobytes()
    assert again.phones == trained.phones
    assert again.languages == trained.languages
    np.testing.assert_array_equal(again.transitions.pdf_of, trained.transitions.pdf_of)
    for system, name in ((trained, "one.fst"), (again, "two.fst")):
        graph = system.languages["en"].decoding_graph(arpa, system.transitions)
        fsts.write(graph, tmp_path / name)
    assert (tmp_path / "one.fst").read_bytes() == (tmp_path / "two.fst").read_bytes()


def test_graphs_are_made_once_and_again_when_the_language_model_changes(trained, arpa, tmp_path):
    path = graph_folder(tmp_path, "en") / "HCLG.fst"
    trained.make_graphs(tmp_path, {"en": arpa})
    first = path.stat().st_mtime_ns
    trained.make_graphs(tmp_path, {"en": arpa})
    assert path.stat().st_mtime_ns == first
    arpa.write_text(arpa.read_text().replace("-0.9\teh", "-0.8\teh"))
    trained.make_graphs(tmp_path, {"en": arpa})
    assert path.stat().st_mtime_ns != first


@pytest.mark.parametrize("name", ["hmm.json", "phones.txt", "topo", "transitions.txt", "gmm.npz"])
def test_a_missing_file_is_named(trained, tmp_path, name):
    trained.save(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=name):
        HmmSystem.load(tmp_path)


def test_transitions_of_another_topology_are_refused(trained, tmp_path):
    trained.save(tmp_path)
    table = tmp_path / "transitions.txt"
    table.write_text("\n".join(table.read_text().splitlines()[:-3]) + "\n")
    with pytest.raises(InputError, match="log probabilities"):
        HmmSystem.load(tmp_path)
    table.write_text("# header\n1 sil 1\n")
    with pytest.raises(InputError, match=r"transitions\.txt"):
        read_log_probs(table)


def test_damaged_topology_and_graph_are_refused(tmp_path):
    with pytest.raises(InputError, match="topology"):
        TransitionModel("<Topology>\n<TopologyEntry>\n<ForPhones>\n")
    (tmp_path / "HCLG.fst").write_bytes(b"not a graph")
    with pytest.raises(InputError, match=r"HCLG\.fst"):
        fsts.read(tmp_path / "HCLG.fst")
    with pytest.raises(InputError, match="no such graph"):
        fsts.read(tmp_path / "none.fst")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.replace("\teh", "\tzebra"), "1 words are not in the lexicon.*'zebra'"),
        (lambda t: "hello\n", "no .*1-grams"),
        (lambda t: t.replace("-0.9\teh", "much\teh"), "bad unigram line"),
        (lambda t: t.replace("\\2-grams:", "\\3-grams:"), "not an ARPA language model"),
    ],
)
def test_bad_language_models_are_refused(system, arpa, change, message):
    arpa.write_text(change(arpa.read_text()))
    with pytest.raises(InputError, match=message):
        system.languages["en"].decoding_graph(arpa, system.transitions)


def test_missing_language_model_is_named(system, tmp_path):
    with pytest.raises(InputError, match=r"none\.arpa"):
        system.make_graphs(tmp_path, {"en": tmp_path / "none.arpa"})
