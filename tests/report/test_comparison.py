"""Several runs side by side: costs, settings, words, and what is amiss with some."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from asr_hf.report.comparison.comparison import Comparison
from asr_hf.report.comparison.page import page
from asr_hf.report.comparison.runs import find_runs
from asr_hf.report.comparison.tables import as_csv, as_json, as_text
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.lock import hold_folder
from asr_hf.scoring.paired import PairedBootstrap
from asr_hf.scoring.wer import score
from asr_hf.stages.compare import compare

from .conftest import hf_events, initial_event, sgd_events

MakeRun = Callable[..., Path]
REFS = {f"u{i}": ["one", "two", "three"][: 1 + i % 3] for i in range(30)}


def events_of(*points: tuple[float, float, float]) -> list[dict[str, object]]:
    """Events with (work, seconds, held-out loss), after the initial one at loss 5."""
    return [
        initial_event(5.0),
        *(
            initial_event(loss)
            | {"iteration": i, "optimiser": "sgd", "work": work, "seconds": seconds}
            | {"frames": {"gradient": work, "loss": 1.0}}
            for i, (work, seconds, loss) in enumerate(points, start=1)
        ),
    ]


def decode(run: Path, wrong: int, name: str = "test", **more: list[str]) -> dict[str, list[str]]:
    """Decode a set with so many utterances wrong."""
    refs = REFS | more
    hyps = {u: ["no"] if i < wrong else words for i, (u, words) in enumerate(refs.items())}
    folder = run / "decode" / name
    folder.mkdir(parents=True)
    for file, table in (("ref.txt", refs), ("hyp.txt", hyps)):
        lines = "".join(f"{u} {' '.join(words)}\n" for u, words in table.items())
        (folder / file).write_text(lines, encoding="utf-8")
    return hyps


def configure(run: Path, **changes: Any) -> None:
    path = run / "config.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))


def rows_of(comparison: Comparison) -> dict[str, dict[str, Any]]:
    return {row["label"]: row for row in comparison.rows}


def test_costs_are_read_at_the_loss_that_all_finished_runs_reached(make_run: MakeRun) -> None:
    fast = make_run("fast", events_of((10, 1, 2.0), (20, 2, 1.5), (30, 3, 1.0)), wer=False)
    slow = make_run("slow", events_of((100, 5, 1.9), (200, 10, 1.6), (300, 15, 1.7)), wer=False)
    # It has hardly begun, and its loss is not what the others are measured at.
    new = make_run("new", events_of((5, 1, 4.0)), wer=False, finished=False)
    rows = rows_of(compare([fast, slow, new]))
    assert [rows[n]["common_loss"] for n in ("fast", "slow", "new")] == [1.6] * 3
    assert [rows[n]["work_to_common"] for n in ("fast", "slow", "new")] == [20, 200, None]
    assert [rows[n]["seconds_to_common"] for n in ("fast", "slow", "new")] == [2, 10, None]
    assert [rows[n]["frames_to_common"] for n in ("fast", "slow", "new")] == [21, 201, None]
    assert [rows[n]["heldout_loss"] for n in ("fast", "slow", "new")] == [1.0, 1.6, 4.0]
    assert rows["fast"]["frames"] == 31 and rows["new"]["state"] == "unfinished"


def test_losses_of_other_labels_or_criteria_have_a_common_loss_of_their_own(
    make_run: MakeRun,
) -> None:
    runs = [make_run(name, hf_events(5, seed=i)) for i, name in enumerate("abcd")]
    for run, labels in zip(runs, ("x", "x", "y", "x"), strict=True):
        (run / "inputs.json").write_text(json.dumps({"held-out labels.bin": labels}))
    configure(runs[3], criterion={"_target_": "asr_hf.criteria.mmi.MMI"})
    comparison = compare(runs)
    assert [row["heldout_data"] for row in comparison.rows] == [1, 1, 2, 3]
    assert len({row["common_loss"] for row in comparison.rows}) == 3
    text = as_text(comparison)
    assert "of data" in text.splitlines()[0]


def test_words_are_paired_with_those_of_the_best_or_the_first_run(make_run: MakeRun) -> None:
    runs = [make_run(name, hf_events(3)) for name in ("bad", "good", "silent")]
    hyps = [decode(runs[0], 12), decode(runs[1], 2)]
    (found,) = compare(runs).words
    assert found.reference == "good" and list(found.results) == ["bad", "good"]
    results = [score(REFS, one) for one in hyps]
    assert found.results["bad"].as_dict() == results[0].as_dict()
    assert found.pairs["good", "bad"] == PairedBootstrap(results).between(1, 0)
    assert compare(runs, named_first=True).words[0].reference == "bad"
    assert "*" in as_text(compare(runs)).split("Word errors")[1]


def test_sets_of_one_name_that_differ_stand_apart_and_say_so(make_run: MakeRun) -> None:
    runs = [make_run(name, hf_events(3)) for name in "abc"]
    decode(runs[0], 3)
    decode(runs[1], 4)
    decode(runs[2], 2, u0=["other"], extra=["more"])
    same, other = compare(runs).words
    assert list(same.results) == ["a", "b"] and same.note == ""
    assert list(other.results) == ["c"] and not other.pairs
    assert "31 utterances" in other.note and "30 are among the 30" in other.note
    assert "1 of these with other words" in other.note
    assert other.note in as_text(compare(runs)) and other.note in page(compare(runs), runs[0], "x")


def test_the_order_of_the_references_does_not_matter(make_run: MakeRun) -> None:
    runs = [make_run(name, hf_events(3)) for name in "ab"]
    decode(runs[0], 3)
    decode(runs[1], 4)
    path = runs[1] / "decode" / "test" / "ref.txt"
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
    (found,) = compare(runs).words
    assert found.results["b"].errors > found.results["a"].errors > 0


def test_settings_that_differ_are_listed_and_no_others(make_run: MakeRun) -> None:
    runs = [make_run("hf", hf_events(3)), make_run("other", hf_events(3))]
    runs.append(make_run("sgd", sgd_events(3)))
    configure(runs[0], paths={"exp": "/a"}, command=["x"])
    config = yaml.safe_load((runs[1] / "config.yaml").read_text())
    del config["model"]["activation"]
    configure(runs[1], model=config["model"] | {"hidden": 256}, solver={"max_iterations": 9})
    settings = compare(runs).settings
    assert settings["model.hidden"] == {"hf": 512, "other": 256, "sgd": 512}
    assert "other" not in settings["model.activation"]
    # SGD has a solver in its configuration and no use for it.
    assert settings["sampling._target_"].keys() == {"hf", "other"}
    assert settings["solver.max_iterations"] == {"hf": 250, "other": 9}
    assert not {key for key in settings if key.split(".")[0] in ("name", "paths", "command")}
    assert "trainer.solver.only_in_the_trainer" not in settings and "model.layers" not in settings
    # SGD has no damping: that is one difference, not one for each of its settings.
    assert "damping._target_" in settings and "damping.initial" not in settings
    assert "model.hidden: 256 (other); 512 (hf, sgd)" in as_text(compare(runs))


def test_what_is_amiss_is_named_and_nothing_is_dropped(make_run: MakeRun, tmp_path: Path) -> None:
    fine = make_run("fine", hf_events(4))
    decode(fine, 1)
    damaged = make_run("damaged", hf_events(4))
    lines = (damaged / "events.jsonl").read_text().splitlines()
    (damaged / "events.jsonl").write_text("\n".join([*lines[:2], "not json", *lines[3:], ""]))
    odd = make_run("odd", hf_events(4), wer=False)
    (odd / "result.json").write_text("[]")
    new = tmp_path / "new"
    new.mkdir()
    (new / "config.yaml").write_text("name: new\n")
    words = make_run("words", hf_events(4))
    decode(words, 1)
    (words / "decode/test/hyp.txt").write_text("stranger one\n")
    empty = make_run("empty", [], finished=False, wer=False)
    with hold_folder(empty, "asr-hf train"):
        comparison = compare(find_runs([tmp_path]))
    rows = rows_of(comparison)
    assert {name: row["state"] for name, row in rows.items()} == {
        "damaged": "damaged",
        "empty": "running",
        "fine": "finished",
        "new": "unfinished",
        "odd": "damaged",
        "words": "finished",
    }
    assert "events.jsonl:3: not an event" in rows["damaged"]["problems"][0]
    assert rows["new"]["problems"] == ["no iteration has ended yet"]
    assert rows["empty"]["problems"] == ["no held-out loss yet"]
    assert "stranger" in rows["words"]["problems"][0] and not rows["fine"]["problems"]
    assert [list(found.results) for found in comparison.words] == [["fine"]]
    for text in (as_text(comparison), page(comparison, tmp_path, "all"), as_csv(comparison)):
        assert all(name in text for name in rows)


def test_words_of_another_model_are_left_out(make_run: MakeRun, monkeypatch) -> None:
    run = make_run("run", hf_events(3))
    decode(run, 1)

    def stale(folder: Path, run_dir: Path) -> None:
        raise InputError(f"{folder}: was decoded with another model")

    monkeypatch.setattr("asr_hf.stages.compare.check_decoded", stale)
    comparison = compare([run])
    assert not comparison.words
    assert comparison.rows[0]["problems"] == [
        "words of test left out: decode/test: was decoded with another model"
    ]


def test_json_and_csv_have_every_run_and_its_figures(make_run: MakeRun) -> None:
    runs = [make_run("hf", hf_events(6)), make_run('a,b="c"|d', sgd_events(4))]
    decode(runs[0], 5)
    decode(runs[1], 7)
    comparison = compare(runs)
    tree = json.loads(as_json(comparison))
    assert [run["label"] for run in tree["runs"]] == ["hf", 'a,b="c"|d']
    assert [len(run["curve"]["seconds"]) for run in tree["runs"]] == [7, 5]
    assert tree["words"][0]["pairs"][0]["difference"] == pytest.approx(
        -tree["words"][0]["pairs"][1]["difference"]
    )
    table = list(csv.DictReader(io.StringIO(as_csv(comparison))))
    assert [row["label"] for row in table] == ["hf", 'a,b="c"|d']
    assert float(table[1]["wer.test"]) == comparison.words[0].results['a,b="c"|d'].percent
    assert float(table[0]["heldout_loss"]) == pytest.approx(comparison.rows[0]["heldout_loss"])
    # A bar inside a cell is no border of it.
    lines = as_text(comparison).splitlines()[:4]
    assert len({line.replace("\\|", "").count("|") for line in lines}) == 1


def test_the_page_has_curves_of_every_run_and_links_to_their_reports(
    make_run: MakeRun, tmp_path: Path
) -> None:
    runs = [make_run(f"run {i}", hf_events(4 + i, seed=i)) for i in range(9)]
    for i, run in enumerate(runs):
        decode(run, i)
        (run / "report.html").write_text("")
    text = page(compare(runs), tmp_path, "nine")
    assert text.count('<path class="line') == 2 * 9
    # Two more runs than colours.
    assert text.count('class="line c1 d1"') == 2 and text.count('class="line c2 d1"') == 2
    assert 'href="./run%203/report.html"' in text
    assert "Every pair" in text and "<script" not in text


def test_runs_are_found_below_folders_and_through_links(make_run: MakeRun, tmp_path: Path) -> None:
    first = make_run("exp/a", hf_events(1))
    second = make_run("exp/grid/x=1", hf_events(1))
    outside = make_run("elsewhere/c", hf_events(1))
    (tmp_path / "exp" / "link").symlink_to(outside)
    make_run("exp/.hidden/d", hf_events(1))
    decode(first, 1)
    exp = tmp_path / "exp"
    assert find_runs([exp]) == [first, second, exp / "link"]
    assert find_runs([second, exp, first]) == [second, first, exp / "link"]
    assert [row["label"] for row in compare(find_runs([exp])).rows] == ["a", "grid/x=1", "link"]
    (tmp_path / "none").mkdir()
    with pytest.raises(InputError, match="no run there"):
        find_runs([tmp_path / "none"])
    with pytest.raises(InputError, match="no such folder"):
        find_runs([tmp_path / "typo"])
