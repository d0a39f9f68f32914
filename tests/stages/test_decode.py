"""The decode stage on a small drawn corpus."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from asr_hf.hmm.graph import fst as fsts
from asr_hf.hmm.kaldi import kaldifst
from asr_hf.hmm.system import HmmSystem
from asr_hf.runtime.errors import InputError
from asr_hf.stages import decode
from asr_hf.stages.recognition import score_sources, word_errors

from ..typed import typed
from . import drawn_corpus
from .drawn_corpus import WORDS, configuration, scores_of

drawn, root = drawn_corpus.drawn, drawn_corpus.root


def test_decoding_with_the_gmm_recognises_the_drawn_words(root):
    result = decode.decode_sets(typed(configuration(root)), scores_of(root))
    assert result["sets"]["test"]["words"] == 24
    assert result["sets"]["test"]["percent"] < 20
    assert len(result["tried"]) == 4
    by_language = result["sets"]["test"]["languages"]
    assert sum(r["errors"] for r in by_language.values()) == result["sets"]["test"]["errors"]
    folder = root / "exp" / "decode" / "test"
    keys = [line.split()[0] for line in (folder / "hyp.txt").read_text().splitlines()]
    assert keys == [f"test{n:02d}" for n in range(8)]
    assert json.loads((folder / "result.json").read_text()) == result["sets"]["test"]


def kaldi_graph(root: Path) -> Path:
    """The English graph as Kaldi's mkgraph.sh leaves one, its model in the folder above."""
    system, folder = HmmSystem.load(root / "align"), root / "exp" / "tri" / "graph"
    folder.mkdir(parents=True)
    graph = fsts.read(root / "align" / "graph" / "en" / "HCLG.fst")
    kaldifst.StdConstFst(graph).write(str(folder / "HCLG.fst"))
    (folder / "words.txt").write_text(system.languages["en"].words.text())
    (folder.parent / "final.mdl").write_text(str(system.transitions.kaldi))
    english = system.languages["en"]
    lines = [f"0 0 {system.phones.id('sil')}"]
    for word, variants in english.lexicon.pronunciations.items():
        number = english.words.id(word)
        for phones in variants:
            lines.append(f"{number} {number} {' '.join(map(str, system.phones.ids(phones)))}")
    (folder / "phones").mkdir()
    (folder / "phones" / "align_lexicon.int").write_text("\n".join(lines) + "\n")
    return folder


def test_a_graph_of_kaldi_s_gives_the_words_that_our_own_gives(root):
    config = configuration(root)
    config.decode.update({"acoustic_scales": [0.5], "insertion_penalties": [0.0]})
    found = []
    for graph in (None, str(kaldi_graph(root))):
        config.decode.graph = graph
        result = decode.decode_sets(typed(config), scores_of(root))["sets"]["test"]
        folder = root / "exp" / "decode" / "test"
        lines = [(folder / name).read_text().splitlines() for name in ("hyp.txt", "words.ctm")]
        english = {f"test{n:02d}" for n in range(0, 8, 2)}
        found.append([[line for line in part if line.split()[0] in english] for part in lines])
        assert result["words"] == 24 and not result["unfinished"]
    assert found[0] == found[1]
    assert len(found[0][1]) >= 8


def test_without_its_lexicon_a_graph_of_kaldi_s_tells_no_times(root, caplog):
    config, folder = configuration(root), kaldi_graph(root)
    config.decode.update({"acoustic_scales": [0.5], "insertion_penalties": [0.0]})
    config.decode.graph = str(folder)
    (folder / "phones" / "align_lexicon.int").unlink()
    result = decode.decode_sets(typed(config), scores_of(root))["sets"]["test"]
    assert not result["unfinished"] and "align_lexicon.int" in caplog.text
    assert (root / "exp" / "decode" / "test" / "words.ctm").read_text() == ""


def test_what_a_graph_of_kaldi_s_lacks_is_named(root):
    config, folder = configuration(root), kaldi_graph(root)
    config.decode.graph = str(folder)
    model = (folder.parent / "final.mdl").read_text()
    (folder.parent / "final.mdl").unlink()
    with pytest.raises(InputError, match=r"final\.mdl"):
        decode.decode_sets(typed(config), scores_of(root))
    (folder / "final.mdl").write_text(model)
    words = (folder / "words.txt").read_text()
    for bad, message in (("a 1\nb 1\n", ":2: the id 1"), ("a\n", ":1: 'a'"), ("", "empty")):
        (folder / "words.txt").write_text(bad)
        with pytest.raises(InputError, match=rf"words\.txt.*{message}"):
            decode.decode_sets(typed(config), scores_of(root))
    lexicon = folder / "phones" / "align_lexicon.int"
    for bad in ("1 1 a\n", "1\n", "1 99999 2\n", "-1 1 2\n"):
        lexicon.write_text("0 0 1\n" + bad)
        (folder / "words.txt").write_text(words)
        with pytest.raises(InputError, match=r"align_lexicon\.int:2"):
            decode.decode_sets(typed(config), scores_of(root))
    lexicon.unlink()
    (folder / "words.txt").write_text("\n".join(words.splitlines()[:3]))
    with pytest.raises(InputError, match=r"HCLG\.fst: labels up to"):
        decode.decode_sets(typed(config), scores_of(root))
    (folder / "HCLG.fst").unlink()
    with pytest.raises(InputError, match=r"no HCLG\.fst"):
        decode.decode_sets(typed(config), scores_of(root))


def test_the_model_is_chosen_before_any_set_but_the_tuning_one_is_read(root, monkeypatch):
    config = configuration(root)
    config.decode.choose = 4
    models = root / "exp" / "models"
    models.mkdir(parents=True)
    # What a file holds is the noise that its model adds to the scores.
    for number, noise in enumerate(("3000", "0", "0", "900")):
        (models / f"iteration-{number:04d}.safetensors").write_text(noise)
    (root / "exp" / "model.safetensors").write_text("the last one")
    clean, read = scores_of(root), []

    def scores(_, path, __=True):
        noise, random = float(path.read_text()), np.random.default_rng(0)

        def of_set(name):
            read.append((path.name, name))
            for utterance, found in clean(name):
                drawn = found + noise * random.normal(size=found.shape)
                yield utterance, drawn.astype(np.float32)

        return of_set

    for module in (decode, score_sources):
        monkeypatch.setattr(module, "model_scores", scores)
    result = decode.run(typed(config))
    tuning = [(f"iteration-{number:04d}.safetensors", "dev") for number in range(4)]
    assert read == [*tuning, *(("model.safetensors", s) for s in ("dev", "test"))]
    assert (root / "exp" / "model.safetensors").read_text() == "0"
    chosen = json.loads((root / "exp" / "decode" / "choice" / "chosen.json").read_text())
    assert chosen["chosen"] == "iteration-0001.safetensors"
    errors = [row["errors"] for row in chosen["models"]]
    assert errors[1] == errors[2] < min(errors[0], errors[3])
    assert result["best"] == chosen["models"][1]["best"]


def test_of_weights_with_equal_errors_the_first_in_the_lists_is_taken(root):
    config = configuration(root)
    config.decode.update({"acoustic_scales": [0.5, 0.5001, 0.4999], "sets": []})
    result = decode.decode_sets(typed(config), scores_of(root))
    least = min(one["expected"] for one in result["tried"])
    first = next(one for one in result["tried"] if one["expected"] == least)
    assert sum(one["expected"] == least for one in result["tried"]) > 1
    assert {key: first[key] for key in result["best"]} == result["best"]


def test_weights_among_good_ones_are_preferred_to_those_with_the_fewest_errors(root, monkeypatch):
    """Errors go up and down by chance: a low count with high ones around it is luck."""
    config = configuration(root)
    penalties = [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 4.0]
    config.decode.update({"insertion_penalties": penalties, "sets": []})
    counts = {-2.0: 44, -1.0: 41, 0.0: 40, 1.0: 41, 2.0: 44, 3.0: 49, 4.0: 39}

    def errors(_, weights):
        return [counts[one.insertion_penalty] for one in weights]

    monkeypatch.setattr(decode._Decoding, "errors", errors)
    result = decode.decode_sets(typed(config), scores_of(root))
    assert result["best"]["insertion_penalty"] in (0.0, 1.0)


def test_a_best_weight_at_the_edge_is_warned_of(root, caplog):
    config = configuration(root)
    # A penalty this large leaves no words, so that the other edge must win.
    config.decode.update({"insertion_penalties": [0.0, 500.0, 1000.0], "sets": []})
    decode.decode_sets(typed(config), scores_of(root))
    warned = [r.message for r in caplog.records if r.levelname == "WARNING"]
    at = "the edge of decode.insertion_penalties"
    assert warned == [f"the best insertion_penalty stands at {at}: try more"]


def test_an_utterance_without_scores_counts_as_deleted(root):
    scores = scores_of(root)

    def incomplete(name):
        return (entry for entry in scores(name) if entry[0] != "test03")

    result = decode.decode_sets(typed(configuration(root)), incomplete)["sets"]["test"]
    assert list(result["skipped"]) == ["test03"]
    assert result["words"] == 24
    assert result["deletions"] >= 3


def test_words_that_do_not_count_are_left_out_of_errors_but_not_of_the_ctm(root, monkeypatch):
    config = configuration(root)
    plain = decode.decode_sets(typed(config), scores_of(root))
    ctm = (root / "exp" / "decode" / "test" / "words.ctm").read_text()
    left_out = sorted(WORDS["en"])[0]
    monkeypatch.setattr(word_errors, "scored_text", lambda ws: [w for w in ws if w != left_out])
    config.corpus.scoring = "hub5"
    result = decode.decode_sets(typed(config), scores_of(root))
    spoken = (root / "test" / "text").read_text().split().count(left_out)
    assert result["sets"]["test"]["words"] == plain["sets"]["test"]["words"] - spoken < 24
    folder = root / "exp" / "decode" / "test"
    for name in ("ref.txt", "hyp.txt"):
        assert left_out not in (folder / name).read_text().split()
    assert left_out in ctm.split() and (folder / "words.ctm").read_text() == ctm
    config.corpus.scoring = "hub4"
    with pytest.raises(InputError, match="no rules 'hub4'"):
        decode.decode_sets(typed(config), scores_of(root))


def test_scores_of_another_model_are_refused_by_name(root):
    scores = scores_of(root)
    with pytest.raises(InputError, match=r"dev00: scores of shape .*\n.*\[frames, 29\]"):
        decode.decode_sets(
            typed(configuration(root)), lambda n: ((u, s[:, :-1]) for u, s in scores(n))
        )


def test_decoding_an_unaligned_corpus_says_what_to_run(root):
    shutil.rmtree(root / "align")
    with pytest.raises(InputError, match="run asr-hf align"):
        decode.decode_sets(typed(configuration(root)), lambda _: iter([]))
