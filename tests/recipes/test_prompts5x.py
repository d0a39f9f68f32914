"""A corpus of altered copies, made from a small corpus of prompts."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr_hf.cli.compose import load_config
from asr_hf.data.alignment import Alignments
from asr_hf.data.ark import ArkReader
from asr_hf.data.augment.chain import augment
from asr_hf.data.augment.table import read_copies
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.store import FrameStore
from asr_hf.hmm.alignment.corpus import speaker_features
from asr_hf.hmm.system import HmmSystem
from asr_hf.runtime import artefact
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json
from asr_hf.runtime.provenance import ArtefactSpec
from asr_hf.runtime.resources import load_recipe
from asr_hf.stages import align, features
from asr_hf.stages import prepare as stage
from asr_hf.stages.sources.transfer_alignments import carried_ctm

from ..typed import typed

prompts, recipe = load_recipe("prompts"), load_recipe("prompts5x")
SETS = ("train", "dev", "test", "dev_noisy", "test_noisy")
CLEAN_OF = {name: name.removesuffix("_noisy") for name in SETS}


def configuration(root: Path, *overrides: str, recipe: str = "prompts5x"):
    common = [f"+recipe={recipe}", "corpus.languages=[en]", "features.jobs=1"]
    common += [f"paths.data={root / 'data'}", f"paths.cache={root / 'cache'}"]
    if recipe == "prompts5x":
        common.append("corpus.augmentation.sets.train.copies=2")
    return load_config([*common, *overrides])


def in_turn(sentences, *_):
    """A split whose held-out sets are not as small as so small a corpus would have them."""
    names = sorted(sentences)
    return {"train": names[12:], "dev": names[:6], "test": names[6:12]}


def everything(config) -> None:
    stage.run(typed(config))
    features.run(typed(config))
    align.run(typed(config))


@pytest.fixture(scope="module")
def made(tmp_path_factory, package):
    """The clean corpus, aligned, and copies of it, aligned."""
    root = tmp_path_factory.mktemp("made")
    package(root / "mine")
    clean = configuration(root, f"corpus.source={root / 'mine'}", recipe="prompts5")
    clean.alignment.iterations, clean.alignment.gaussians = 2, 150
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prompts, "split", in_turn)
        everything(clean)
    everything(configuration(root))
    return root


@pytest.fixture
def root(made, tmp_path):
    """A copy of all that, to be changed."""
    shutil.copytree(made, tmp_path / "copy")
    for scp in (tmp_path / "copy").rglob("*.scp"):
        scp.write_text(scp.read_text().replace(str(made), str(tmp_path / "copy")))
    return tmp_path / "copy"


def sets_of(root: Path, corpus: str) -> dict[str, DataDir]:
    folder = root / "data" / corpus
    names = CLEAN_OF if corpus == "prompts5x" else ("train", "dev", "test")
    return {name: DataDir.read(folder / name) for name in names}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_training_asks_for_the_alignments_that_the_clean_recordings_have():
    clean, copied = (load_config([f"+recipe={name}"]) for name in ("prompts5", "prompts5x"))
    assert copied.alignment == clean.alignment


def test_the_training_set_is_the_clean_one_and_so_many_copies_of_each(made):
    clean, copied = sets_of(made, "prompts5"), sets_of(made, "prompts5x")
    config = configuration(made)
    for name, data in copied.items():
        of, count = CLEAN_OF[name], config.corpus.augmentation.sets[name].copies
        wanted = {f"x{k}-{u.id}" for u in clean[of].utterances for k in range(1, count + 1)}
        if not name.endswith("_noisy"):
            wanted |= {u.id for u in clean[of].utterances}
        assert {u.id for u in data.utterances} == wanted
        assert set(read_copies(data.path)) == {name for name in wanted if name.startswith("x")}


def test_a_copy_has_the_words_and_language_of_its_clean_recording_and_a_speaker_of_its_own(made):
    clean = {u.id: u for data in sets_of(made, "prompts5").values() for u in data.utterances}
    for name, data in sets_of(made, "prompts5x").items():
        copies = read_copies(made / "data/prompts5x" / name)
        for u in data.utterances:
            if u.id not in copies:
                assert u == clean[u.id]
                continue
            copy = copies[u.id]
            of = clean[copy.clean]
            assert (u.text, u.language) == (of.text, of.language)
            assert u.speaker == f"x{copy.number}-{of.speaker}"
            # Kaldi sorts utterances by speaker: its name comes first.
            assert u.id.startswith(u.speaker)


def test_nothing_of_one_clean_set_is_heard_in_another(made):
    """Neither as a copy nor in the babble."""
    clean = {name: {u.id for u in d.utterances} for name, d in sets_of(made, "prompts5").items()}
    babbled = 0
    for name, of in CLEAN_OF.items():
        for copy in read_copies(made / "data/prompts5x" / name).values():
            talkers = set(copy.effects.babble.talkers) if copy.effects.babble else set()
            assert {copy.clean} | talkers <= clean[of]
            assert copy.clean not in talkers
            babbled += bool(talkers)
    assert babbled > 30


def test_the_table_alone_makes_the_same_recordings_again(made):
    for name, of in CLEAN_OF.items():
        clean, data = sets_of(made, "prompts5")[of], sets_of(made, "prompts5x")[name]

        def load(utterance, wavs=clean.wavs):
            return soundfile.read(wavs[utterance], dtype="int16")[0].astype(float)

        for utterance, copy in list(read_copies(data.path).items())[:25]:
            again = augment(load(copy.clean), copy.effects, 8000, load)
            there, rate = soundfile.read(data.wavs[utterance], dtype="int16")
            assert rate == 8000
            np.testing.assert_array_equal(there, again)


def test_the_same_seed_gives_the_same_bytes_in_any_number_of_processes(root, monkeypatch):
    folder = root / "data" / "prompts5x"
    before = {k: v for k, v in contents(folder).items() if k.split("/")[0] in ("wav", *CLEAN_OF)}
    shutil.rmtree(folder)
    monkeypatch.setattr("asr_hf.data.augment.copies._WORTH_A_PROCESS", 50)
    stage.run(typed(configuration(root, "features.jobs=2")))
    after = contents(folder)
    assert {k: after[k] for k in before} == before


def test_another_seed_gives_other_copies_and_renews_the_corpus(root):
    folder = root / "data" / "prompts5x"
    before = contents(folder)
    stage.run(typed(configuration(root, "corpus.augmentation.seed=1")))
    after = contents(folder)
    wavs = [name for name in after if name.endswith(".wav")]
    assert sum(before[name] == after[name] for name in wavs) < 0.02 * len(wavs)
    assert not (folder / "store").exists(), "stores of other recordings must go"


def test_the_second_time_nothing_is_done(made):
    def times():
        return {p: p.stat().st_mtime_ns for p in (made / "data").rglob("*") if p.is_file()}

    before = times()
    everything(configuration(made))
    assert times() == before


def test_copies_at_speed_one_have_the_labels_of_the_clean_recording(made):
    clean = Alignments.read(made / "data/prompts5/align/train")
    carried = Alignments.read(made / "data/prompts5x/align/train")
    copies = read_copies(made / "data/prompts5x/train")
    speeds = {u: copies[u].effects.speed if u in copies else 1.0 for u in carried.pdfs}
    assert set(speeds.values()) == {0.9, 1.0, 1.1}
    for utterance, labels in carried.pdfs.items():
        of = clean.pdfs[copies[utterance].clean if utterance in copies else utterance]
        if speeds[utterance] == 1:
            np.testing.assert_array_equal(labels, of)
        else:
            assert len(labels) * speeds[utterance] == pytest.approx(len(of), abs=3)
            # The same states in the same order, but for some that last less than a frame.
            assert set(labels) <= set(of)
    assert carried.num_pdfs == clean.num_pdfs


def test_stores_hold_every_utterance_that_has_an_alignment_and_nothing_is_trimmed(made):
    for name, data in sets_of(made, "prompts5x").items():
        folder = made / "data/prompts5x/store" / name
        about = read_json(folder / "store.json")
        store = FrameStore.open(folder)
        assert len(store.utterances) + len(about["skipped"]) == len(data.utterances)
        assert about["trimmed"] == 0
    train = FrameStore.open(made / "data/prompts5x/store/train")
    alone = FrameStore.open(made / "data/prompts5/store/train")
    # Speakers of copies are others, so the clean frames are normalised as they were.
    at = {u: i for i, u in enumerate(train.utterances)}
    for number, utterance in list(enumerate(alone.utterances))[:10]:
        one, same = alone.read(np.array([number])), train.read(np.array([at[utterance]]))
        assert one.features.equal(same.features) and one.labels.equal(same.labels)


def test_the_ctm_of_a_copy_is_that_of_its_clean_recording_in_its_own_time(made):
    def rows(path):
        found: dict[str, list[tuple[float, float, str]]] = {}
        for line in path.read_text().splitlines():
            utterance, _, start, duration, label = line.split()
            found.setdefault(utterance, []).append((float(start), float(duration), label))
        return found

    clean = rows(made / "data/prompts5/align/test/words.ctm")
    copied = rows(made / "data/prompts5x/align/test_noisy/words.ctm")
    copies = read_copies(made / "data/prompts5x/test_noisy")
    assert len(copied) == len(clean) > 0
    for utterance, words in copied.items():
        speed = copies[utterance].effects.speed
        for (start, duration, word), (at, lasts, same) in zip(
            words, clean[copies[utterance].clean], strict=True
        ):
            assert word == same
            assert (start * speed, duration * speed) == pytest.approx((at, lasts), abs=1e-3)


def test_the_hmm_system_and_graphs_are_those_of_the_clean_corpus(made):
    clean, copied = (contents(made / "data" / name / "align") for name in ("prompts5", "prompts5x"))
    for name in ("phones.txt", "topo", "transitions.txt", "graph/en/HCLG.fst"):
        assert clean[name] == copied[name]


def test_realigned_clean_recordings_renew_the_labels_of_copies(root):
    folder = root / "data" / "prompts5" / "align" / "dev"
    other = Alignments.read(folder)
    rolled = Alignments({u: np.roll(p, 1) for u, p in other.pdfs.items()}, other.num_pdfs)
    known = artefact.read(folder)
    times = {kind: (folder / f"{kind}.ctm").read_text() for kind in ("phones", "words")}

    def make(part: Path) -> dict:
        rolled.write(part)
        for kind, text in times.items():
            (part / f"{kind}.ctm").write_text(text)
        return known.about

    artefact.make_anew(folder, ArtefactSpec(known.kind, known.settings, known.sources), make)
    labels = {n: root / f"data/prompts5x/store/{n}/labels.bin" for n in ("dev_noisy", "train")}
    before = {name: path.read_bytes() for name, path in labels.items()}
    align.run(typed(configuration(root)))
    assert labels["dev_noisy"].read_bytes() != before["dev_noisy"]
    assert labels["train"].read_bytes() == before["train"]


def test_a_network_can_realign_the_copies_themselves(root):
    corpus, run = root / "data" / "prompts5x", root / "exp" / "net"
    run.mkdir(parents=True)
    (run / "model.safetensors").write_bytes(b"a model")
    config = configuration(root, f"alignment.from_run={run}", "alignment.tag=own")
    config.corpus.sets, config.alignment.max_skipped = ["dev_noisy"], 0.5
    scorer = HmmSystem.load(corpus / "align").gmm.scorer()

    def scores(name):
        fbank = ArkReader(corpus / "fbank" / name / "feats.scp")
        for utterance, cepstra in speaker_features(DataDir.read(corpus / name), fbank):
            yield utterance, scorer.log_likelihoods(cepstra)

    align.run(typed(config), scores)
    stores = [FrameStore.open(corpus / kind / "dev_noisy") for kind in ("store", "store-own")]
    carried, own = (store.read(np.arange(store.num_units)).labels for store in stores)
    assert not own.equal(carried)


def test_a_silent_recording_is_left_out_of_copies_and_listed(root):
    wavs = DataDir.read(root / "data/prompts5/test").wavs
    name, wav = min(wavs.items())
    soundfile.write(wav, np.zeros(8000, np.int16), 8000, subtype="PCM_16")
    config = configuration(
        root,
        "corpus.augmentation.effects.noise.probability=1",
        "corpus.augmentation.seed=2",
        "features.max_skipped=0.5",
    )
    about = stage.run(typed(config))
    reason = about["summary"]["sets"]["test_noisy"]["skipped"][f"x1-{name}"]
    assert "speech is digital silence" in reason
    left = {u.id for u in DataDir.read(root / "data/prompts5x/test_noisy").utterances}
    assert f"x1-{name}" not in left and len(left) == len(wavs) - 1


def test_without_the_clean_corpus_one_is_told_how_to_make_it(tmp_path):
    with pytest.raises(InputError, match=r"'prompts5'.*is not there(.|\n)*make data-prompts5 "):
        stage.run(typed(configuration(tmp_path)))


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("align/artefact.json", r"no HMM system to carry over(.|\n)*make data-prompts5 "),
        ("align/test/artefact.json", r"no alignments to carry over to 'test'"),
    ],
)
def test_a_clean_corpus_without_alignments_is_named(root, lost, message):
    (root / "data" / "prompts5" / lost).unlink()
    with pytest.raises(InputError, match=message):
        align.run(typed(configuration(root)))


def test_a_set_that_the_settings_do_not_know_is_named(root):
    with pytest.raises(InputError, match=r"says nothing of the set 'dev_loud'"):
        stage.run(typed(configuration(root, "corpus.sets=[train,dev_loud]")))


def test_a_language_that_the_clean_corpus_lacks_is_named(root):
    with pytest.raises(InputError, match="the language 'fr' is missing"):
        stage.run(typed(configuration(root, "corpus.languages=[en,fr]")))


def test_a_folder_that_is_no_corpus_is_never_replaced(root):
    folder = root / "data" / "prompts5x"
    (folder / "corpus.json").unlink()
    with pytest.raises(InputError, match=r"holds no corpus\.json"):
        stage.run(typed(configuration(root)))
    assert (folder / "train").is_dir()


def test_the_summary_counts_what_is_there(made):
    about = read_json(made / "data/prompts5x/corpus.json")["summary"]["sets"]
    for name, data in sets_of(made, "prompts5x").items():
        seconds = sum(soundfile.info(wav).duration for wav in data.wavs.values())
        assert about[name]["minutes"] == pytest.approx(seconds / 60, abs=0.006)
        assert about[name]["utterances"] == len(data.utterances)
    assert "| test_noisy | " in recipe.table(about)


@pytest.mark.parametrize("content", [b"\xff\n", b"utt 1 0.0\n", b"utt 1 zero 0.5 word\n"])
def test_a_damaged_ctm_of_the_clean_corpus_is_named(root, content):
    (root / "data/prompts5/align/test/words.ctm").write_bytes(content)
    data = DataDir.read(root / "data/prompts5x/test_noisy")
    with pytest.raises(InputError, match=r"prompts5/align/test/words\.ctm(?s:.*)align \+recipe"):
        carried_ctm(typed(configuration(root)), data, "words")
