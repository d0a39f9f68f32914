"""The verb adapt: a network of one voice, and a table of another voice's recordings."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from asr_hf.cli.main import main
from asr_hf.hmm.graph.states import states_digest
from asr_hf.hmm.system import HmmSystem
from asr_hf.models.dnn import DNN
from asr_hf.models.tdnn import TDNN
from asr_hf.runtime.events import read_events
from asr_hf.training.model_file import load_model
from asr_hf.training.parameter_places import hidden_slices, output_parameters

from ..once import once
from .conftest import TONES, paths

RATE = 8000
# A voice in whose speech the tones of the old one lie elsewhere.
VOICE = {"la": 560, "mi": 1150, "so": 1950, "ti": 3150}
OLD = [
    *("name=first", "features.cmvn=utterance", "corpus.utterances.train=36"),
    *("model.hidden_sizes=[32]", "trainer.stopping.max_iterations=15"),
]
NEW = [
    *("--config-dir", TONES[1], "runtime.device=cpu", "runtime.checkpoint_seconds=0"),
    *("alignment.jobs=1", "features.jobs=1", "decode.jobs=1", "alignment.max_skipped=0.3"),
    # Tones differ more than voices do.
    "adapt.weight=20",
]
# Here the pull holds all parameters alike; test_adapt_fisher.py has the other one.
ALIKE = "trainer.pull_fisher=0"


def spoken(words: list[str], random: np.random.Generator) -> np.ndarray:
    """Words of two tones each, as the recipe's but for the tones."""
    pause = np.zeros(RATE // 10)
    pieces = [pause]
    for phone in (phone for word in words for phone in (word[:2], word[2:])):
        times = np.arange(int(RATE * random.uniform(0.08, 0.14))) / RATE
        pieces.append(0.3 * np.sin(2 * np.pi * VOICE[phone] * random.uniform(0.97, 1.03) * times))
    samples = np.concatenate([*pieces, pause])
    return samples + 0.01 * random.normal(size=len(samples))


def write_table(folder: Path, rate: int = RATE) -> Path:
    """A table of the other voice: 24 utterances to train on, 8 held out, 12 to test."""
    random, rows = np.random.default_rng(5), ["audio\ttext\tspeaker\tsplit"]
    words = [f"{a}{b}" for a in VOICE for b in VOICE if a != b]
    folder.mkdir(parents=True)
    for name, count in (("train", 24), ("dev", 8), ("test", 12)):
        for number in range(count):
            said = list(map(str, random.choice(words, 3)))
            wav = f"{name}-{number}.wav"
            soundfile.write(folder / wav, spoken(said, random), rate)
            rows.append(f"{wav}\t{' '.join(said)}\tother{number}\t{name}")
    (folder / "voice.tsv").write_text("\n".join(rows) + "\n")
    return folder / "voice.tsv"


def make(root: Path) -> None:
    for verb in ("prepare", "features", "align", "train", "decode"):
        assert main([verb, *TONES, *paths(root), *OLD]) == 0, verb
    write_table(root / "voice")
    assert main(["adapt", *arguments(root)]) == 0


def arguments(root: Path, *given: str) -> list[str]:
    return [*usual_arguments(root), ALIKE, *given]


def usual_arguments(root: Path, *given: str) -> list[str]:
    return [f"{root}/exp/first", f"table={root}/voice/voice.tsv", *NEW, *paths(root), *given]


@pytest.fixture(scope="session")
def adapted(importable, tmp_path_factory) -> Path:
    return once(tmp_path_factory, "adapt", make)


@pytest.fixture
def root(adapted, tmp_path) -> Path:
    """A copy of corpus, run, table and adapted run."""
    copy = tmp_path / "root"
    shutil.copytree(adapted, copy)
    for path in (*copy.rglob("*.scp"), *copy.rglob("config.yaml")):
        path.write_text(path.read_text().replace(str(adapted), str(copy)))
    return copy


@pytest.fixture
def refused(capfd) -> Callable[..., str]:
    """(arguments of the verb) -> what is said of them; they must be refused as bad input."""

    def call(*given: str) -> str:
        capfd.readouterr()
        code = main(["adapt", *map(str, given)])
        said = "".join(capfd.readouterr())
        assert code == 2 and "Traceback" not in said, said
        return said

    return call


def rows_of(run: Path) -> dict[tuple[str, str], dict]:
    rows = json.loads((run / "result.json").read_text())["adaptation"]["rows"]
    return {(row["corpus"], row["set"]): row for row in rows}


def test_the_new_voice_is_understood_better_and_the_old_one_still(adapted):
    rows = rows_of(adapted / "exp" / "first-voice")
    assert list(rows) == [("voice", "dev"), ("voice", "test"), ("tones", "test")]
    new, old = rows["voice", "test"], rows["tones", "test"]
    assert new["before"]["percent"] > 15 and new["relative"] < -40
    assert new["interval"][0] < new["points"] < 0
    assert old["after"]["percent"] <= old["before"]["percent"] + 6
    # What the run itself decoded is what stands there as before.
    decoded = json.loads((adapted / "exp/first/decode/test/result.json").read_text())
    assert old["before"]["errors"] == decoded["errors"]


def test_states_priors_and_weights_are_those_of_the_run(adapted):
    systems = adapted / "data/tones/align", adapted / "data/voice/align-first"
    assert states_digest(systems[0]) == states_digest(systems[1])
    assert set(HmmSystem.load(systems[1]).languages) == {"xx"}
    runs = [adapted / "exp" / name for name in ("first", "first-voice")]
    (before, about), (after, now) = (load_model(run / "model.safetensors") for run in runs)
    assert about["states"] == now["states"]
    assert torch.equal(before.log_priors, after.log_priors)
    assert torch.equal(before.input_mean, after.input_mean)
    assert 0 < float((after.flat - before.flat).norm()) < 0.2 * float(before.flat.norm())
    first, second = (json.loads((run / "decode/best.json").read_text())["best"] for run in runs)
    assert first == second


def test_the_pull_falls_where_there_is_more_speech(adapted):
    config = yaml.safe_load((adapted / "exp/first-voice/config.yaml").read_text())
    about = json.loads((adapted / "data/voice/store-first/train/store.json").read_text())
    assert config["adapt"]["weight"] == 20
    assert config["trainer"]["pull"] == pytest.approx(20 / about["frames"], rel=0.05)


def test_the_page_has_the_table(adapted):
    page = (adapted / "exp/first-voice/report.html").read_text()
    assert "<h2>Adaptation</h2>" in page and "tones test" in page
    assert f"{rows_of(adapted / 'exp/first-voice')['voice', 'test']['relative']:+.1f} %" in page


def test_the_same_command_keeps_what_is_there(root, capfd):
    run = root / "exp" / "first-voice"
    kept = ["model.safetensors", "forgotten/decode/test/hyp.txt", "decode/best.json"]
    before, rows = {name: (run / name).read_bytes() for name in kept}, rows_of(run)
    times = {p: p.stat().st_mtime_ns for p in run.rglob("hyp.txt")}
    steps = len(read_events(run / "events.jsonl"))
    assert main(["adapt", *arguments(root)]) == 0
    said = capfd.readouterr()
    assert re.search(r"voice test +\d+ +[\d.]+ % +[\d.]+ % +-[\d.]+ %", said.out)
    assert {name: (run / name).read_bytes() for name in kept} == before and rows_of(run) == rows
    assert {p: p.stat().st_mtime_ns for p in times} == times
    assert len(read_events(run / "events.jsonl")) == steps


def test_other_commands_work_on_the_adapted_run(root, capfd):
    run = root / "exp" / "first-voice"
    assert main(["decode", str(run), *NEW[:2]]) == 0
    wavs = sorted((root / "voice").glob("test-*.wav"))[:3]
    capfd.readouterr()
    assert main(["transcribe", str(run), *map(str, wavs), *NEW[:2], "decode.jobs=1"]) == 0
    assert len(capfd.readouterr().out.splitlines()) == 3


def test_a_cut_training_goes_on_to_the_same_model(root):
    """The pull is towards the model of init_from, whatever a checkpoint holds."""
    start = [f"init_from={root}/exp/first", "trainer.pull=0.05", "trainer.stopping.patience=0"]
    for name, steps in (("whole", [4]), ("parts", [2, 4])):
        for most in steps:
            last = [f"name={name}", f"trainer.stopping.max_iterations={most}"]
            assert main(["train", *TONES, *paths(root), *OLD, *start, *last]) == 0
    models = [(root / "exp" / n / "model.safetensors").read_bytes() for n in ("whole", "parts")]
    assert models[0] == models[1]
    assert len(read_events(root / "exp/parts/events.jsonl")) == 5


def test_a_stronger_pull_stays_nearer(root):
    start = load_model(root / "exp/first/model.safetensors")[0].flat
    ways = []
    for pull in ("10", "1000"):
        given = [f"init_from={root}/exp/first", f"trainer.pull={pull}", f"name=pull{pull}"]
        stopping = "trainer.stopping.max_iterations=3"
        assert main(["train", *TONES, *paths(root), *OLD, *given, stopping]) == 0
        events = read_events(root / f"exp/pull{pull}/events.jsonl")
        assert any(event.get("step") for event in events)
        model = load_model(root / f"exp/pull{pull}/model.safetensors")[0]
        ways.append(float((model.flat - start).norm()))
    assert 0 < ways[1] < 0.1 * ways[0]


def test_new_states_keep_the_hidden_layers(root):
    lexicon = root / "other.txt"
    names = {"la": "o1", "mi": "o2", "so": "o3", "ti": "o4"}
    words = [(a, b) for a in VOICE for b in VOICE if a != b]
    lexicon.write_text("".join(f"{a}{b} {names[a]} {names[b]}\n" for a, b in words))
    given = ["adapt.states=new", f"corpus.lexicon={lexicon}", "corpus.name=other"]
    given += ["trainer.pull=10", "alignment.iterations=6", "alignment.gaussians=40"]
    given += ["decode.acoustic_scales=[0.3]"]
    assert main(["adapt", *arguments(root, *given)]) == 0
    run = root / "exp" / "first-other"
    (row,) = [r for key, r in rows_of(run).items() if key[1] == "test"]
    assert row["before"] is None and row["after"]["percent"] < 30
    before = load_model(root / "exp/first/model.safetensors")[0]
    after = load_model(run / "model.safetensors")[0]
    weights = dict(before.named_parameters())
    output = output_parameters(after)
    for name, parameter in after.named_parameters():
        if name not in output:
            torch.testing.assert_close(parameter, weights[name], atol=2e-2, rtol=0)
    phones = HmmSystem.load(root / "data/other/align").phones.symbols
    assert set(names.values()) <= set(phones)
    assert not (run / "before").exists() and not (run / "forgotten").exists()


def test_phones_that_the_run_lacks_are_named_with_their_words(root, refused):
    lexicon = root / "other.txt"
    words = [(a, b) for a in VOICE for b in VOICE if a != b]
    lexicon.write_text("".join(f"{a}{b} {a} {'zh' if b == 'mi' else b}\n" for a, b in words))
    said = refused(*arguments(root, f"corpus.lexicon={lexicon}", "corpus.name=other"))
    assert "1 phones that" in said and "zh (in lami, somi, timi)" in said
    assert "la mi" in said and "adapt.states=new" in said


# What is given, {} standing for the root, and what is said of it.
WITHOUT_TABLE = ["{}/exp/first", *NEW]
REFUSED = {
    "no folder": (["table={}/voice/voice.tsv", *NEW], "no run folder"),
    "no run": (["{}/voice", "table={}/voice/voice.tsv", *NEW], "no run there"),
    "no corpus": (WITHOUT_TABLE, "there is no corpus"),
    "no table": ([*WITHOUT_TABLE, "table={}/none.tsv"], "none.tsv"),
    "itself": (["name=first"], "this is the run that is adapted"),
    "its corpus": (["corpus.name=tones"], "on the corpus in this folder"),
    "features": (["features.num_mel_bins=20"], "features.num_mel_bins=40"),
    "weights": (["decode.acoustic_scales=[0.1]"], "weights that the old run"),
    "states": (["adapt.states=sane"], "did you mean adapt.states=same"),
    "no test set": (["corpus.sets=[train,dev]", "corpus.name=x"], "has no set 'test'"),
    "old set": (["adapt.old_sets=[eval]"], "no set 'eval'"),
    "pull": (["trainer.pull=-1", "name=x"], "trainer.pull=-1"),
    "Fisher pull": (["trainer.pull_fisher=-1", "name=x"], "trainer.pull_fisher=-1"),
    "trainer": (
        ["{}/exp/first", "table={}/voice/voice.tsv", *NEW, "trainer=adamw", "+trainer.pull=1"],
        "trainer.pull",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_adapted_is_refused_by_name(adapted, refused, what):
    given, said = REFUSED[what]
    given = [one.replace("{}", str(adapted)) for one in given]
    whole = given[0].startswith(("/", "table="))
    assert said in refused(*([*given, *paths(adapted)] if whole else arguments(adapted, *given)))


def test_models_that_are_missing_or_of_another_version_are_refused(root, refused):
    model = root / "exp/first/model.safetensors"
    model.write_bytes(model.read_bytes().replace(b"asr-hf-model-2", b"asr-hf-model-9"))
    assert "asr-hf-model-9" in refused(*arguments(root, "name=x"))
    model.unlink()
    assert "there is no trained model" in refused(*arguments(root, "name=x"))


def test_recordings_of_a_lower_rate_are_refused(adapted, tmp_path, refused):
    table = write_table(tmp_path / "low", rate=4000)
    given = [f"{adapted}/exp/first", f"table={table}", *NEW, *paths(tmp_path), "corpus.name=low"]
    assert "recordings of 4000 Hz" in refused(*given)


def test_silence_is_refused(adapted, tmp_path, refused):
    table = write_table(tmp_path / "quiet")
    for wav in table.parent.glob("*.wav"):
        soundfile.write(wav, np.zeros(RATE), RATE)
    given = [f"{adapted}/exp/first", f"table={table}", *NEW, *paths(tmp_path), "corpus.name=x"]
    assert "silent" in refused(*given)


def test_what_starts_from_a_model_needs_one(adapted, capfd):
    for setting in ("trainer.pull=0.1", "trainer.pull_fisher=0.1", "new_output=true"):
        train = ["train", *TONES, *paths(adapted), *OLD, "name=x", setting]
        assert main(train) == 2
        assert f"{setting}: there is no model to start from" in capfd.readouterr().err


@pytest.mark.parametrize("kind", [DNN, TDNN])
def test_the_output_layer_is_told_from_hidden_ones_of_its_size(kind):
    context = {} if kind is DNN else {"context": [[-1, 0, 1], [0]]}
    model = kind(feature_dim=3, num_pdfs=7, hidden_sizes=[7, 7], **context)
    output = output_parameters(model)
    places = hidden_slices(model)
    assert len(output) == 2 and sum(p.stop - p.start for p in places) == model.flat.numel() - 56
    with torch.no_grad():
        for name in output:
            model.get_parameter(name).zero_()
    assert model.flat[[*range(model.flat.numel())]][places[-1].stop :].abs().sum() == 0
