"""The align stage on a small drawn corpus."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from asr_hf.data.alignment import Alignments
from asr_hf.data.ark import ArkReader, ArkWriter
from asr_hf.data.store import FrameStore
from asr_hf.hmm.tree import tree_growing
from asr_hf.runtime.errors import InputError
from asr_hf.stages import align, decode

from ..typed import typed
from . import drawn_corpus
from .drawn_corpus import SETS, configuration, scores_of, tied, times

drawn, root = drawn_corpus.drawn, drawn_corpus.root


def test_the_same_command_again_does_nothing(root):
    before, first = times(root), align.run(typed(configuration(root)))
    assert times(root) == before
    assert first["pdfs"] == 5 + 8 * 3
    assert {name: s["utterances"] for name, s in first["sets"].items()} == SETS


def test_stores_hold_the_alignment_and_two_flat_starts_agree(root):
    store = FrameStore.open(root / "store" / "dev")
    alignments = Alignments.read(root / "align" / "dev")
    labels = np.concatenate([alignments.pdfs[u] for u in store.utterances])
    np.testing.assert_array_equal(np.bincount(labels, minlength=29), store.label_counts())
    first = {p: (root / p).read_bytes() for p in ("align/transitions.txt", "store/dev/labels.bin")}
    shutil.rmtree(root / "align")
    shutil.rmtree(root / "store")
    align.run(typed(configuration(root)))
    assert first == {path: (root / path).read_bytes() for path in first}


def test_states_tied_in_context_are_kept_apart_from_monophones_and_decode(root, monkeypatch):
    monkeypatch.setattr(tree_growing, "LEAST_GAIN", 5.0)
    monkeypatch.setattr(tree_growing, "LEAST_FRAMES", 5.0)
    before = times(root)
    made = align.run(typed(tied(root)))
    assert times(root) == before
    assert 29 < made["pdfs"] <= 60 < made["gaussians"]
    assert {name: s["utterances"] for name, s in made["sets"].items()} == SETS
    store = FrameStore.open(root / "store-tied" / "train")
    assert store.num_pdfs == made["pdfs"] and store.label_counts().min() > 0
    paths = [
        root / p for p in ("align-tied/gmm.npz", "align-tied/tree", "store-tied/dev/labels.bin")
    ]
    written = [(path.stat().st_mtime_ns, path.read_bytes()) for path in paths]
    assert align.run(typed(tied(root))) == made
    assert [(path.stat().st_mtime_ns, path.read_bytes()) for path in paths] == written
    result = decode.decode_sets(typed(tied(root)), scores_of(root, "align-tied"))
    assert result["sets"]["test"]["percent"] < 20
    shutil.rmtree(root / "align-tied")
    shutil.rmtree(root / "store-tied")
    align.run(typed(tied(root)))
    assert [path.read_bytes() for path in paths] == [content for _, content in written]


def test_another_tree_is_trained_anew_from_the_monophones_there_are(root, monkeypatch):
    monkeypatch.setattr(tree_growing, "LEAST_GAIN", 5.0)
    align.run(typed(tied(root)))
    before, config = times(root), tied(root)
    config.alignment.tree.states = 29
    assert align.run(typed(config))["pdfs"] == 29
    assert times(root) == before
    config.alignment.tree.states = 28
    with pytest.raises(InputError, match="29 or more"):
        align.run(typed(config))


def test_a_changed_transcript_renews_its_set_only(root):
    before = times(root)
    text = root / "dev" / "text"
    line = text.read_text().splitlines()[0]
    text.write_text(text.read_text().replace(line, line.rsplit(" ", 1)[0]))
    align.run(typed(configuration(root)))
    changed = {p.relative_to(root).parts[:2] for p, t in times(root).items() if before[p] != t}
    assert changed == {("align", "dev"), ("store", "dev")}


def test_ctm_covers_each_utterance(root):
    alignments = Alignments.read(root / "align" / "test")
    total: dict[str, float] = {}
    for line in (root / "align" / "test" / "phones.ctm").read_text().splitlines():
        utterance, _, start, duration, _ = line.split()
        assert float(start) == pytest.approx(total.get(utterance, 0.0), abs=1e-6)
        total[utterance] = float(start) + float(duration)
    assert total == pytest.approx({u: len(p) * 0.01 for u, p in alignments.pdfs.items()})


def test_alignments_from_outside_take_the_place_of_the_flat_start(root):
    ark = root / "pdf.txt"
    data = [Alignments.read(root / "align" / name) for name in SETS]
    every = {u: p for a in data for u, p in a.pdfs.items() if u != "train00"}
    ark.write_text("".join(f"{u} {' '.join(map(str, 40 + p))}\n" for u, p in every.items()))
    config = configuration(root)
    config.alignment.from_ark, config.alignment.num_pdfs = str(ark), 70
    result = align.run(typed(config))
    assert result["pdfs"] == FrameStore.open(root / "store" / "train").num_pdfs == 70
    assert list(result["sets"]["train"]["skipped"]) == ["train00"]
    assert FrameStore.open(root / "store" / "dev").label_counts()[:40].sum() == 0
    align.run(typed(configuration(root)))
    assert FrameStore.open(root / "store" / "dev").num_pdfs == 29


def test_realignment_with_a_network_uses_its_scores_and_is_kept(root):
    config = configuration(root)
    config.alignment.from_run = str(root / "exp" / "net")
    (root / "exp" / "net").mkdir(parents=True)
    (root / "exp" / "net" / "model.safetensors").write_bytes(b"a model")
    scores, asked = scores_of(root), []

    def sharper(name):
        asked.append(name)
        return ((u, 3 * s) for u, s in scores(name))

    align.run(typed(config), sharper)
    assert asked == list(SETS)
    before = times(root)
    align.run(typed(config), sharper)
    assert times(root) == before


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda r: (r / "dev" / "text").write_text("dev00 enpr\n"), "dev01 has no transcript"),
        (lambda r: (r / "dev" / "utt2lang").unlink(), "utterance dev00: language None"),
        (lambda r: (r / "lang" / "fr" / "lexicon.txt").unlink(), "fr/lexicon.txt"),
        (lambda r: shutil.rmtree(r / "fbank" / "dev"), "fbank/dev"),
    ],
)
def test_missing_pieces_are_named(root, damage, message):
    damage(root)
    shutil.rmtree(root / "align")
    with pytest.raises(InputError, match=message):
        align.run(typed(configuration(root)))


def test_features_that_are_not_finite_are_refused_by_name(root):
    fbank = ArkReader(root / "fbank" / "train" / "feats.scp")
    with ArkWriter(root / "fbank" / "train", "feats") as ark:
        for key in list(fbank):
            matrix = fbank[key].copy()
            if key == "train05":
                matrix[7, 3] = np.nan
            ark.write(key, matrix)
    shutil.rmtree(root / "align")
    with pytest.raises(InputError, match="train05: NaN or infinite feature in frame 7"):
        align.run(typed(configuration(root)))
