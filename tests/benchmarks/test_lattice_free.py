"""The table of LF-MMI's words, and its timed tasks."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from asr_hf.data.denominator_graph import ARC, DenominatorGraph
from benchmarks.lattice_free import blocks, commands
from benchmarks.lattice_free.__main__ import figures, still_valid
from benchmarks.lattice_free.settings import CORPORA
from benchmarks.lattice_free.speed import main


def run(wer: float, diverged: bool = False) -> dict:
    return {"errors": int(wer), "words": 100, "wer": wer, "diverged": diverged}


def test_figures_are_medians_over_seeds():
    runs = {f"cross_entropy/seed{n}": run(wer) for n, wer in enumerate((20.0, 10.0, 18.0))}
    runs |= {f"lfmmi/seed{n}": run(wer, n == 1) for n, wer in enumerate((9.0, 30.0, 12.0))}
    found = figures(runs, CORPORA["prompts5"])
    assert (found["wer_cross_entropy"], found["wer_lfmmi"]) == (18.0, 12.0)
    assert found["wer_smbr"] is None
    assert found["wer_relative_to_cross_entropy"] == pytest.approx(12 / 18 - 1)
    assert (found["test_words"], found["diverged"]) == (100, 1)


def test_runs_of_other_settings_do_not_stand_beside_new_ones():
    corpus = CORPORA["prompts5"]
    known = figures({"lfmmi/seed0": run(9.0)}, corpus)
    assert still_valid(known, corpus) == {"lfmmi/seed0": run(9.0)}
    assert still_valid(known, replace(corpus, seconds=1)) == {}
    assert still_valid(known, replace(corpus, lattice_free="model.dropout=0.5")) == {}
    assert still_valid({}, corpus) == {}


def test_each_criterion_has_its_own_overrides():
    corpus = replace(CORPORA["prompts5"], cross_entropy="a=1", lattice_free="b=2")
    for criterion, own, other in (
        (commands.CROSS_ENTROPY, "a=1", "b=2"),
        (commands.LATTICE_FREE, "b=2", "a=1"),
        (commands.FLAT, "b=2", "a=1"),
    ):
        found = commands.commands(corpus, criterion, 0)
        assert all(own in command and other not in command for command in found)


def test_smbr_starts_from_the_run_of_its_seed_on_lattices_of_the_first():
    corpus = CORPORA["queen"]
    first, second = (commands.commands(corpus, commands.SMBR, seed) for seed in (0, 1))
    assert [command[0] for command in first] == ["lattices", "train", "decode", "score"]
    assert [command[0] for command in second] == ["train", "decode", "score"]
    assert f"init_from={commands.folder_of(corpus, commands.CROSS_ENTROPY, 1)}" in second[0]
    assert f"lattices.from_run={commands.folder_of(corpus, commands.CROSS_ENTROPY, 0)}" in second[0]


def test_the_flat_start_has_its_own_alignment_and_no_other_start():
    found = commands.commands(CORPORA["queen"], commands.FLAT, 0)
    assert [command[0] for command in found] == ["align", "train", "decode", "score"]
    assert all("alignment=none" in command for command in found)
    assert "trainer.horizon.seconds=360" in found[1]
    assert not any(word.startswith("init_from") for word in found[1])


def test_speed_is_measured_on_any_graph(tmp_path, capsys):
    arcs = np.array([(0, 0, 0, 1, 0.5), (0, 1, 1, 2, 0.5), (1, 0, 2, 1, 1.0)], ARC)
    DenominatorGraph(arcs, np.array([0.5, 0.5]), 3).save(tmp_path)
    given = [str(tmp_path), "--utterances", "2", "--frames", "4", "--hidden", "8", "--rounds", "1"]
    assert main(given) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["arcs"] == 3
    for task in ("denominator", "denominator_by_torch", "totals", "tangent", "tangent_by_torch"):
        assert found["2 utterances"][f"{task}_times_real_time"] > 0


def test_bounded_sums_are_measured_in_processes_of_their_own(monkeypatch, capsys):
    monkeypatch.setattr(blocks, "_PHONES", 3)
    assert blocks.main(["--bounds", "1GB", "1KB", "--seconds", "0.3"]) == 0
    machine, *rows, by_loops = map(json.loads, capsys.readouterr().out.splitlines())
    assert machine["pdfs"] == 12
    assert rows[0]["groups"] == [None]
    assert rows[1]["groups"][0] is not None
    assert by_loops["bound"] is None
    for row in (*rows, by_loops):
        assert row["gradient_seconds"] > 0 and row["product_seconds"] > 0
