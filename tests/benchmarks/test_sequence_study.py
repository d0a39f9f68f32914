"""What the study of sequence training makes of its runs."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch

from asr_hf.cli.check import check_targets
from asr_hf.cli.compose import load_config
from asr_hf.models.dnn import DNN
from asr_hf.training.model_file import FILE_NAME, load_model, save_model
from benchmarks.sequence import steps
from benchmarks.sequence.figures import chosen, figures
from benchmarks.sequence.page import write_page
from benchmarks.sequence.steps import KINDS, STUDIES, commands, rescale

STUDY = replace(STUDIES["full"], seeds=(0, 1), tests=("test",))
REFS = [f"utt{n} one two three four five six seven eight nine ten" for n in range(10)]


def write_run(kind, seed, wrong, dev=5, losses=(0.5, 0.4)):
    """A finished run with `wrong` of ten utterances lost, an event a second from second 0."""
    folder = STUDY.folder(kind, seed)
    decoded = folder / "decode" / "test"
    decoded.mkdir(parents=True)
    (decoded / "ref.txt").write_text("\n".join(REFS) + "\n")
    hyps = [f"utt{n}" if n < wrong else line for n, line in enumerate(REFS)]
    (decoded / "hyp.txt").write_text("\n".join(hyps) + "\n")
    result = {"percent": 10.0 * wrong, "errors": 10 * wrong, "words": 100, "interval": [0, 100]}
    (decoded / "result.json").write_text(json.dumps(result))
    tried = [{"errors": dev + 2}, {"errors": dev}]
    (folder / "decode" / "best.json").write_text(json.dumps({"tried": tried}))
    events = [
        {"iteration": k, "optimiser": "hf", "heldout_loss": x, "work": 1.0 * k, "seconds": 1.0 * k}
        for k, x in enumerate(losses)
    ]
    (folder / "events.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events))
    (folder / "config.yaml").write_text("name: x\n")
    (folder / "result.json").write_text("{}")
    (folder / "done").touch()


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(steps, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES.keys())
@pytest.mark.parametrize("kind", ["ce", *KINDS])
def test_every_command_composes(study, kind):
    check_targets(load_config(commands(study, kind, study.seeds[0])[-1][1:]))


def test_all_seeds_use_the_first_ones_lattices(root):
    made = [c for seed in (0, 1) for c in commands(STUDY, "ce", seed) if c[0] == "lattices"]
    assert len(made) == 1
    used = [load_config(commands(STUDY, "hf-smbr", seed)[0][1:]) for seed in (0, 1)]
    assert {c.lattices.from_run for c in used} == {str(STUDY.folder("ce", 0))}
    assert {c.lattices.tag for c in used} == {load_config(made[0][1:]).lattices.tag}
    assert [c.init_from for c in used] == [str(STUDY.folder("ce", seed)) for seed in (0, 1)]


def test_word_errors_are_told_against_the_same_seed_s_start(root):
    for seed, before, after in ((0, 4, 3), (1, 5, 5)):
        write_run("ce", seed, before)
        write_run("hf-smbr", seed, after)
    found = figures(STUDY)
    change = found["hf-smbr_against_ce"]["test"]
    assert change["by_seed"] == [-0.25, 0.0] and change["relative"] == -0.125
    assert [test["difference"] for test in change["paired"]] == pytest.approx([-10.0, 0.0])
    assert found["hf-mmi_against_ce"] == {} and found["hf_over_sgd"]["seconds"] is None


def test_the_race_is_to_the_lowest_loss_in_any_way(root):
    write_run("ce", 0, 4)
    write_run("hf-smbr", 0, 3, losses=(0.5, 0.45, 0.39, 0.3))
    write_run("sgd-smbr-1x0.003", 0, 4, dev=1, losses=(0.5, 0.49, 0.48))
    write_run("sgd-smbr-8x0.01", 0, 4, dev=2, losses=(0.5, 0.49, 0.48, 0.47, 0.46, 0.44, 0.40))
    race = figures(STUDY)["hf_over_sgd"]
    assert race["seconds"] == 3.0 and race["best_loss"] == [{"hf": 0.3, "sgd": 0.40}]
    assert chosen(STUDY, "sgd-smbr", 0).name == "sgd-smbr-1x0.003-seed0"


def test_the_page_gives_every_kind_a_line_with_both_ends_of_its_range(root, monkeypatch):
    monkeypatch.setitem(STUDIES, "full", STUDY)
    for seed, before, after in ((0, 4, 3), (1, 5, 5)):
        write_run("ce", seed, before)
        write_run("hf-smbr", seed, after)
    page = root / "docs" / "sequence-results.md"
    page.parent.mkdir()
    results = {"full": figures(STUDY) | {"machine": {"cpu": "a CPU", "torch": "2"}}}
    write_page(results, page)
    lines = {
        line.split("|")[1].strip(): line for line in page.read_text().split("\n") if "|" in line
    }
    assert "40.0 to 50.0" in lines["cross-entropy: the start"]
    assert "-25.0 to +0.0" in lines["sMBR by HF"]
    assert (page.parent / "sequence-results-full.svg").stat().st_size > 1000


def test_a_rescaled_model_has_its_logits_times_the_factor(tmp_path):
    model = DNN(feature_dim=3, num_pdfs=4, hidden_sizes=[5], activation="tanh", seed=1)
    config = {
        "_target_": "asr_hf.models.dnn.DNN",
        "hidden_sizes": [5],
        "activation": "tanh",
    }
    save_model(tmp_path / FILE_NAME, model, config, {})
    (tmp_path / "out").mkdir()
    rescale(tmp_path / FILE_NAME, tmp_path / "out" / FILE_NAME, 1.5)
    changed, _ = load_model(tmp_path / "out" / FILE_NAME)
    inputs = torch.randn(7, model.linear_layers()[0].in_features)
    assert torch.allclose(changed(inputs), 1.5 * model(inputs), rtol=1e-6, atol=1e-7)
