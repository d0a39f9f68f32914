"""The align and decode stages on a small drawn corpus."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig, OmegaConf

from asr_hf.data.alignment import Alignments
from asr_hf.data.ark import ArkReader, ArkWriter
from asr_hf.data.cmvn import cmvn_stats
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.data.store import FrameStore
from asr_hf.hmm.alignment.corpus import speaker_features
from asr_hf.hmm.graph import fst as fsts
from asr_hf.hmm.kaldi import kaldifst
from asr_hf.hmm.system import HmmSystem
from asr_hf.hmm.tree import tree_growing
from asr_hf.runtime.errors import InputError
from asr_hf.stages import align, decode
from asr_hf.stages.recognition import score_sources, word_errors

from ..typed import typed

WORDS = {
    language: {f"{language}{a}{b}": f"{language}_{a} {language}_{b}" for a in "pq" for b in "rs"}
    for language in ("en", "fr")
}
SETS = {"train": 40, "dev": 8, "test": 8}
BINS = 20


def draw_set(root: Path, name: str, count: int, shapes: dict[str, np.ndarray], seed: int) -> None:
    random = np.random.default_rng(seed)
    utterances, folder = [], root / "fbank" / name
    with ArkWriter(folder, "feats") as feats, ArkWriter(folder, "cmvn") as cmvn:
        for number in range(count):
            language = ("en", "fr")[number % 2]
            words = list(random.choice(sorted(WORDS[language]), 3))
            phones = ["sil", *" ".join(WORDS[language][w] for w in words).split(), "sil"]
            means = np.concatenate([shapes[phone] for phone in phones])
            frames = np.repeat(means, random.integers(2, 6, len(means)), axis=0)
            fbank = (frames + random.normal(size=frames.shape)).astype(np.float32)
            key = f"{name}{number:02d}"
            feats.write(key, fbank)
            cmvn.write(key, cmvn_stats(fbank))
            utterances.append(
                Utterance(key, f"s{number % 2}", key, text=" ".join(words), language=language)
            )
    about = {"cmvn": "utterance", "utterances": count, "options": {}, "format": "asr-hf-fbank-1"}
    (folder / "fbank.json").write_text(json.dumps(about))
    DataDir(root / name, utterances, {u.id: f"{u.id}.wav" for u in utterances}).write()


def write_language(root: Path, language: str) -> None:
    folder = root / "lang" / language
    folder.mkdir(parents=True)
    words = WORDS[language]
    (folder / "lexicon.txt").write_text("".join(f"{w} {p}\n" for w, p in words.items()))
    unigrams = "".join(f"-0.7\t{w}\n" for w in (*words, "</s>"))
    (folder / "lm.arpa").write_text(
        f"\\data\\\nngram 1={len(words) + 2}\n\n\\1-grams:\n-99\t<s>\n{unigrams}\n\\end\\\n"
    )


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("drawn")
    random = np.random.default_rng(0)
    names = ["sil", *(f"{language}_{p}" for language in ("en", "fr") for p in "pqrs")]
    shapes = {n: random.normal(0, 3, (5 if n == "sil" else 3, BINS)) for n in names}
    for seed, (name, count) in enumerate(SETS.items()):
        draw_set(root, name, count, shapes, seed)
    for language in WORDS:
        write_language(root, language)
    align.run(typed(configuration(root)))
    return root


def configuration(root: Path) -> DictConfig:
    return OmegaConf.create(
        {
            "run_dir": str(root / "exp"),
            "corpus": {
                "name": "drawn",
                "dir": str(root),
                "sets": list(SETS),
                "train_set": "train",
                "languages": list(WORDS),
            },
            "features": {"frame_shift": 10.0, "dtype": "float32"},
            "alignment": {
                "iterations": 12,
                "gaussians": 60,
                "max_utterances": 1000,
                "acoustic_scale": 0.5,
                "beam": 20.0,
                "retry_beam": 80.0,
                "jobs": 2,
                "from_ark": None,
                "num_pdfs": None,
                "from_run": None,
                "tree": None,
                "system": "align",
                "tag": None,
                "max_skipped": 0.2,
                "seed": 0,
            },
            "decode": {
                "sets": ["dev", "test"],
                "tune_on": "dev",
                "acoustic_scales": [0.2, 0.5],
                "lm_scales": [1.0],
                "insertion_penalties": [0.0, 1.0],
                "beam": 20.0,
                "lattice_beam": 12.0,
                "lattice_scale": 0.3,
                "max_active": 2000,
                "choose": 0,
                "jobs": 1,
                "max_skipped": 0.2,
            },
        }
    )


@pytest.fixture
def root(drawn: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "corpus"
    shutil.copytree(drawn, copy)
    for scp in copy.rglob("*.scp"):
        scp.write_text(scp.read_text().replace(str(drawn), str(copy)))
    return copy


def scores_of(root: Path, folder: str = "align"):
    system = HmmSystem.load(root / folder)
    scorer = system.gmm.scorer()

    def scores(name):
        fbank = ArkReader(root / "fbank" / name / "feats.scp")
        for utterance, features in speaker_features(DataDir.read(root / name), fbank):
            yield utterance, scorer.log_likelihoods(features)

    return scores


def times(root: Path) -> dict[Path, int]:
    made = [p for part in ("align", "store") for p in (root / part).rglob("*") if p.is_file()]
    return {path: path.stat().st_mtime_ns for path in made}


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


def tied(root: Path) -> DictConfig:
    config = configuration(root)
    tree = {"states": 60, "gaussians": 90, "passes": 7, "max_utterances": 30}
    config.alignment.update({"tree": tree, "system": "align-tied", "tag": "tied"})
    return config


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

    def scores(_, path):
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
    fewest = min(one["errors"] for one in result["tried"])
    first = next(one for one in result["tried"] if one["errors"] == fewest)
    assert sum(one["errors"] == fewest for one in result["tried"]) > 1
    assert first == result["best"] | {"errors": fewest}


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
