"""asr-hf lattices on a small drawn corpus, with the GMM's scores."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import DictConfig, OmegaConf

from asr_hf.data.lattice_store import LatticeStore
from asr_hf.data.store import FrameStore
from asr_hf.hmm.graph.lexicon import Lexicon
from asr_hf.hmm.graph.weak_lm import weak_lm
from asr_hf.hmm.lattice.lattice_paths import oracle_errors
from asr_hf.hmm.system import HmmSystem
from asr_hf.runtime import artefact
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.skips import SkipList
from asr_hf.stages import align, lattices
from asr_hf.stages.recognition import lattice_maker
from asr_hf.stages.sources.layout import lattices_folder
from asr_hf.stages.training.targets import usable

from ..typed import typed
from . import drawn_corpus

drawn = drawn_corpus.drawn


@pytest.fixture
def root(drawn: Path, tmp_path: Path) -> Path:
    copy = drawn_corpus.copied(drawn, tmp_path / "corpus")
    for language in drawn_corpus.WORDS:
        sentences = [
            line.split(maxsplit=1)[1]
            for line in (copy / "train" / "text").read_text().splitlines()
            if line.split()[1].startswith(language)
        ]
        (copy / "lang" / language / "lm_text").write_text("\n".join(sentences) + "\n")
    (copy / "exp").mkdir()
    (copy / "exp" / "model.safetensors").write_bytes(b"a network")
    return copy


def configuration(root: Path, **changes) -> DictConfig:
    config = drawn_corpus.configuration(root)
    options = {
        "from_run": str(root / "exp"),
        "tag": None,
        "sets": ["train", "dev"],
        "utterances": None,
        "acoustic_scale": 0.3,
        "lm_order": 1,
        "beam": 30.0,
        "lattice_beam": 4.0,
        "max_active": 2000,
        "max_arcs_per_frame": 200,
        "max_frames": 6000,
        "max_skipped": 0.2,
        "jobs": 1,
    }
    config.lattices = OmegaConf.create(options | changes)
    return config


def scores_in_order(root: Path, noise: float = 0.0, log: list[str] | None = None):
    """The GMM's scores in the store's order, with noise that makes errors; `log` says whose."""
    scores = drawn_corpus.scores_of(root)

    def of_set(name: str) -> Iterator[tuple[str, np.ndarray]]:
        found = dict(scores(name))
        for unit, utterance in enumerate(FrameStore.open(root / "store" / name).utterances):
            random = np.random.default_rng(unit)
            if log is not None:
                log.append(utterance)
            matrix = found[utterance]
            yield utterance, (matrix + random.normal(0, noise, matrix.shape)).astype(np.float32)

    return of_set


def files(folder: Path) -> dict[str, bytes]:
    assert [p for p in folder.parent.iterdir() if p.name.startswith(".")] == []
    return {
        path.name: path.read_bytes() for path in folder.iterdir() if path.name != artefact.RECORD
    }


def described(folder: Path) -> dict:
    # The record tells the time it took.
    about = artefact.read(folder).about
    return about | {"statistics": about["statistics"] | {"seconds": 0}}


def test_every_lattice_holds_its_reference_and_is_counted(root, capsys):
    config = configuration(root, beam=200.0, lattice_beam=1.0)
    found = lattices.run(typed(config), scores_in_order(root, noise=120.0))
    assert "oracle error %" in capsys.readouterr().out
    system = HmmSystem.load(root / "align")
    for name, count in (("train", 40), ("dev", 8)):
        store, frames = LatticeStore.open(lattices_folder(typed(config), name)), 0
        text = dict(
            line.split(maxsplit=1) for line in (root / name / "text").read_text().splitlines()
        )
        for utterance in store.utterances:
            words = text[utterance].split()
            ids = system.languages[words[0][:2]].words.ids(words)
            assert oracle_errors(store.lattice(utterance), ids) == 0
            frames += store.num_frames(utterance)
        assert store.utterances == FrameStore.open(root / "store" / name).utterances
        assert found[name]["utterances"] == count and found[name]["words"] == 3 * count
        assert found[name]["hours"] == pytest.approx(frames / 360_000)
        assert found[name]["oracle_error"] <= found[name]["best_error"]
        assert artefact.read(store.folder).about["statistics"] == found[name]
        assert len(store.about["merged"]) == found[name]["merged"]
    assert found["train"]["merged"] > 0


def test_the_same_command_again_does_nothing_and_changed_input_remakes(root):
    config, log = configuration(root, sets=["dev"]), []
    first = lattices.run(typed(config), scores_in_order(root, log=log))
    folder = lattices_folder(typed(config), "dev")
    times = {p: p.stat().st_mtime_ns for p in folder.parent.rglob("*.bin")}
    assert lattices.run(typed(config), scores_in_order(root, log=log)) == first
    assert {p: p.stat().st_mtime_ns for p in folder.parent.rglob("*.bin")} == times
    assert len(log) == 8
    for number, change in enumerate(("beam", "max_active", "model", "text"), start=2):
        if change == "model":
            (root / "exp" / "model.safetensors").write_bytes(b"another network")
        elif change == "text":
            text = root / "dev" / "text"
            text.write_text(text.read_text().replace("enpr", "enqr"))
        else:
            config.lattices[change] += 1
        lattices.run(typed(config), scores_in_order(root, log=log))
        assert len(log) == 8 * number, change


def test_a_tag_keeps_lattices_apart(root):
    lattices.run(typed(configuration(root, sets=["dev"])), scores_in_order(root, noise=60.0))
    before = files(root / "lattices" / "dev")
    tagged = configuration(root, sets=["dev"], tag="second", lattice_beam=8.0)
    lattices.run(typed(tagged), scores_in_order(root, noise=60.0))
    assert files(root / "lattices" / "dev") == before
    assert files(root / "lattices-second" / "dev") != before


def test_two_processes_make_the_same_bytes_as_one(root):
    config = configuration(root, sets=["dev"])
    lattices.run(typed(config), scores_in_order(root, noise=60.0))
    folder = lattices_folder(typed(config), "dev")
    alone, about = files(folder), described(folder)
    shutil.rmtree(folder)
    lattices.run(
        typed(configuration(root, sets=["dev"], jobs=2)), scores_in_order(root, noise=60.0)
    )
    assert files(folder) == alone and described(folder) == about


def test_a_killed_run_goes_on_to_the_same_bytes(root, monkeypatch):
    monkeypatch.setattr(lattice_maker, "_PART", 7)
    config = configuration(root, sets=["train"])
    lattices.run(typed(config), scores_in_order(root, noise=60.0))
    folder = lattices_folder(typed(config), "train")
    whole, about = files(folder), described(folder)
    shutil.rmtree(folder)

    def killed(name):
        for number, entry in enumerate(scores_in_order(root, noise=60.0)(name)):
            if number == 17:
                raise KeyboardInterrupt
            yield entry

    with pytest.raises(KeyboardInterrupt):
        lattices.run(typed(config), killed)
    assert not folder.exists()
    parts = sorted(folder.with_name(".train.parts").iterdir())
    assert [part.name for part in parts] == ["00000", "00001"]
    times = [(part / "arcs.bin").stat().st_mtime_ns for part in parts]
    with pytest.raises(KeyboardInterrupt):
        lattices.run(typed(config), killed)
    assert [(part / "arcs.bin").stat().st_mtime_ns for part in parts] == times
    lattices.run(typed(config), scores_in_order(root, noise=60.0))
    assert files(folder) == whole and described(folder) == about


def test_parts_of_other_options_are_not_taken(root, monkeypatch):
    monkeypatch.setattr(lattice_maker, "_PART", 3)

    def killed(name):
        yield from list(scores_in_order(root, noise=60.0)(name))[:7]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lattices.run(typed(configuration(root, sets=["dev"], lattice_beam=1.0)), killed)
    config = configuration(root, sets=["dev"])
    lattices.run(typed(config), scores_in_order(root, noise=60.0))
    mixed = files(lattices_folder(typed(config), "dev"))
    shutil.rmtree(root / "lattices")
    lattices.run(typed(config), scores_in_order(root, noise=60.0))
    assert files(lattices_folder(typed(config), "dev")) == mixed


def test_what_has_no_lattice_is_listed_and_too_many_of_them_stop_the_run(root):
    text = root / "dev" / "text"
    lines = text.read_text().splitlines()
    text.write_text("\n".join([lines[0] + " zebra", *lines[1:]]) + "\n")
    config = configuration(root, sets=["dev"])
    found = lattices.run(typed(config), scores_in_order(root))
    store = LatticeStore.open(lattices_folder(typed(config), "dev"))
    assert found["dev"]["skipped"] == 1 and len(store.utterances) == 7
    assert "dev00" not in store and "zebra" in store.about["skipped"]["dev00"]
    shutil.rmtree(root / "lattices")
    with pytest.raises(InputError, match=r"1 of 8.*\n.*dev00"):
        lattices.run(
            typed(configuration(root, sets=["dev"], max_skipped=0.1)), scores_in_order(root)
        )
    # Its work is not lost: a raised limit lets it through without decoding again.
    log: list[str] = []
    lattices.run(typed(config), scores_in_order(root, log=log))
    assert log == []


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda root: (root / "exp" / "model.safetensors").unlink(), "model.safetensors"),
        (lambda root: (root / "lang" / "fr" / "lm_text").unlink(), "lang/fr/lm_text"),
        (lambda root: (root / "align" / "hmm.json").unlink(), "asr-hf align"),
        (lambda root: shutil.rmtree(root / "store"), "no frame store"),
    ],
)
def test_missing_pieces_are_named(root, spoil, named):
    scores = scores_in_order(root)
    spoil(root)
    with pytest.raises(InputError) as caught:
        lattices.run(typed(configuration(root)), scores)
    assert named in str(caught.value)


def test_a_run_to_make_them_with_is_asked_for(root):
    with pytest.raises(InputError, match=r"lattices\.from_run=<run folder>"):
        lattices.run(typed(configuration(root, from_run=None)), scores_in_order(root))


def test_the_scale_is_the_runs_best_where_none_is_given(root):
    config = configuration(root, sets=["dev"], acoustic_scale=None)
    with pytest.raises(InputError, match="best acoustic scale is not known"):
        lattices.run(typed(config), scores_in_order(root))
    (root / "exp" / "decode").mkdir()
    (root / "exp" / "decode" / "best.json").write_text('{"best": {"acoustic_scale": 0.25}}')
    lattices.run(typed(config), scores_in_order(root))
    about = LatticeStore.open(lattices_folder(typed(config), "dev")).about
    assert about["options"]["acoustic_scale"] == 0.25


def test_lattices_of_some_utterances_are_spread_over_the_set_and_the_rest_is_left_out(root):
    config = configuration(root, sets=["train"], utterances=5)
    lattices.run(typed(config), scores_in_order(root))
    store = FrameStore.open(root / "store" / "train")
    made = LatticeStore.open(lattices_folder(typed(config), "train"))
    count = len(store.utterances)
    chosen = [store.utterances[(number * count) // 5] for number in range(5)]
    assert list(made.utterances) == chosen and count > 5
    skips = SkipList("lattices", 0.0)
    assert usable(store, made, 1, skips, 6000).tolist() == [(n * count) // 5 for n in range(5)]
    assert not skips.reasons


def test_an_utterance_drawn_but_without_a_lattice_is_counted(root):
    config = configuration(root, sets=["train"], utterances=5)
    lattices.run(typed(config), scores_in_order(root))
    store = FrameStore.open(root / "store" / "train")
    made = LatticeStore.open(lattices_folder(typed(config), "train"))
    made.about["skipped"] = {store.utterances[1]: "no path"}
    skips = SkipList("lattices", 0.5)
    usable(store, made, 1, skips, 6000)
    assert skips.reasons == {store.utterances[1]: "has no lattice"}
    made.about["drawn"] = len(store.utterances)
    with pytest.raises(InputError, match="lattices"):
        usable(store, made, 1, SkipList("lattices", 0.0), 6000)


@settings(max_examples=50)
@given(st.integers(1, 300), st.none() | st.integers(1, 300))
def test_spread_numbers_are_even_and_within_the_set(count, most):
    numbers = lattice_maker.spread(count, most)
    assert len(numbers) == min(count, count if most is None else most)
    assert numbers[0] == 0 and numbers[-1] < count
    steps = np.diff(numbers)
    assert steps.size == 0 or (steps.min() >= 1 and steps.max() - steps.min() <= 1)


def test_a_weak_model_without_unknown_words_sums_to_one(tmp_path):
    (tmp_path / "text").write_text("a b a\nb zebra\nb\n")
    closed = Lexicon("en", {"a": (("en_a",),), "b": (("en_b",),)})
    for lexicon, words in ((closed, "a b"), (closed.with_unknown(), "a b <unk>")):
        lines = weak_lm(tmp_path / "text", lexicon, 1).splitlines()
        rows = [line.split("\t") for line in lines if "\t" in line]
        assert {row[1] for row in rows} == {*words.split(), "<s>", "</s>"}
        assert f"ngram 1={len(rows)}" in lines
        total = sum(10 ** float(row[0]) for row in rows if row[1] != "<s>")
        assert total == pytest.approx(1, abs=0.1)


def test_the_graphs_stand_beside_the_lattices(root):
    lattices.run(typed(configuration(root, sets=["dev"])), scores_in_order(root))
    for language in drawn_corpus.WORDS:
        folder = root / "lattices" / "graph" / language
        assert {artefact.RECORD, "HCLG.fst"} == {p.name for p in folder.iterdir()}
        assert (root / "lattices" / "lm" / f"{language}.arpa").is_file()
    before = (root / "align" / "graph" / "en" / "HCLG.fst").stat().st_mtime_ns
    align.run(typed(drawn_corpus.configuration(root)))
    assert (root / "align" / "graph" / "en" / "HCLG.fst").stat().st_mtime_ns == before
