"""The report page of finished, unfinished and damaged runs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from asr_hf.report.html import write_report
from asr_hf.report.run_data import RunData
from asr_hf.report.settings import parts_chosen
from asr_hf.runtime.errors import InputError

from .conftest import hf_events, sgd_events

MakeRun = Callable[..., Path]


class Outline(HTMLParser):
    """Checks that tags are balanced and collects what a test asks about."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.titles: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["h3"]:
            self.titles.append(data)


def report(folder: Path) -> str:
    return write_report(folder).read_text(encoding="utf-8")


def drawings(page: str) -> list[ElementTree.Element]:
    found = re.findall(r"<svg viewBox.*?</svg></figure>", page)
    return [ElementTree.fromstring(svg.removesuffix("</figure>")) for svg in found]


def test_a_finished_hf_run_shows_every_figure(make_run: MakeRun) -> None:
    page = report(make_run("demo", hf_events(30)))
    outline = Outline(page)
    for title in (
        "Loss against work",
        "Loss against time",
        "Frame error against work",
        "CG iterations",
        "Damping",
        "Reduction ratio",
        "Sample sizes",
        "Seconds by phase",
    ):
        assert title in outline.titles
    assert len(drawings(page)) == 8
    assert "15.8" in page
    assert "59 of 374 words" in page
    assert ">finished<" in page


def test_nothing_is_fetched_and_no_script_runs(make_run: MakeRun) -> None:
    outline = Outline(report(make_run("demo", hf_events(5))))
    names = {name for name, _ in outline.attributes}
    assert not names & {"src", "href", "srcset", "xlink:href", "onclick", "onload"}
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in outline.attributes


def test_a_minibatch_run_has_a_rate_and_nothing_of_hf(make_run: MakeRun) -> None:
    page = report(make_run("adamw", sgd_events(12, "adamw"), wer=False))
    titles = Outline(page).titles
    assert "Learning rate" in titles
    assert not {"CG iterations", "Damping", "solver", "sampling"} & set(titles)
    assert "Word error rate" not in page


def test_an_unfinished_run_says_so(make_run: MakeRun) -> None:
    folder = make_run("cut", hf_events(6), finished=False, wer=False)
    with open(folder / "events.jsonl", "a", encoding="utf-8") as events:
        events.write('{"iteration": 7, "heldout_l')
    page = report(folder)
    assert "unfinished: 6 iterations so far" in page
    best = min(event["heldout_loss"] for event in hf_events(6))
    assert f"{best:.4f}" in page


@pytest.mark.parametrize("count", [0, 1])
def test_the_first_moments_of_a_run_have_a_page(make_run: MakeRun, count: int) -> None:
    Outline(report(make_run("young", hf_events(count), finished=False, wer=False)))


def test_infinite_and_missing_figures_leave_gaps(make_run: MakeRun) -> None:
    events = hf_events(8)
    events[3]["rho"] = float("-inf")
    events[4] |= {"heldout_loss": float("nan"), "train_loss": None, "lambda": 0.0}
    del events[5]["phase_seconds"], events[5]["gradient_frames"]
    page = report(make_run("gaps", events, finished=False, wer=False))
    svg = "".join(ElementTree.tostring(one, encoding="unicode") for one in drawings(page))
    assert "nan" not in svg
    assert "inf" not in svg


def test_drawn_points_are_the_events(make_run: MakeRun) -> None:
    events = hf_events(12)
    drawn = drawings(report(make_run("demo", events)))[0]
    titles = [c.findtext("title") or "" for c in drawn.iter("circle")]
    shown = [float(t.split()[2]) for t in titles if t.startswith("held out")]
    assert shown == pytest.approx([event["heldout_loss"] for event in events], rel=1e-3)


def test_a_line_goes_on_between_two_looks(make_run: MakeRun) -> None:
    events = hf_events(12)
    for event in events[1::2]:
        del event["heldout_loss"], event["heldout_frame_error"]
    drawn = drawings(report(make_run("demo", events, finished=False, wer=False)))[0]
    (line,) = [path for path in drawn.iter("path") if path.get("class") == "line c1"]
    assert (line.get("d") or "").count("L") == 6


def test_bars_are_as_high_as_the_counts(make_run: MakeRun) -> None:
    events = hf_events(12)
    drawn = drawings(report(make_run("demo", events)))[3]
    heights = sorted(
        (float(bar.get("x", "0")), float(bar.get("height", "0"))) for bar in drawn.iter("rect")
    )
    counts = [event["cg_iterations"] for event in events[1:]]
    unit = heights[0][1] / counts[0]
    assert [h for _, h in heights] == pytest.approx([unit * c for c in counts], abs=0.2)


def test_of_many_values_a_bar_has_the_mean_of_some(make_run: MakeRun) -> None:
    events = hf_events(400)
    page = report(make_run("demo", events))
    assert "A bar is the mean of 4 outer iterations." in page
    drawn = drawings(page)[3]
    bars: dict[float, float] = {}
    for bar in drawn.iter("rect"):
        x = float(bar.get("x", "0"))
        bars[x] = bars.get(x, 0.0) + float(bar.get("height", "0"))
    counts = [event["cg_iterations"] for event in events[1:]]
    means = [sum(counts[n : n + 4]) / 4 for n in range(0, 400, 4)]
    heights = [bars[x] for x in sorted(bars)]
    unit = heights[-1] / means[-1]
    assert heights == pytest.approx([unit * mean for mean in means], abs=0.4)


def test_rejected_steps_are_crossed(make_run: MakeRun) -> None:
    drawn = drawings(report(make_run("demo", hf_events(25))))[3]
    crosses = [path for path in drawn.iter("path") if path.get("class") == "cross"]
    assert len(crosses) == 2


def test_marks_that_would_run_into_one_another_are_one(make_run: MakeRun) -> None:
    events = [event | {"accepted": False} for event in hf_events(400)]
    drawn = drawings(report(make_run("demo", events)))[5]
    crosses = [path for path in drawn.iter("path") if path.get("class") == "cross"]
    said = [cross.findtext("title") or "" for cross in crosses]
    assert sum(int(text.split()[0]) if text[0].isdigit() else 1 for text in said) == 400
    assert 20 < len(crosses) < 60


def test_what_a_loss_counts_is_said(make_run: MakeRun) -> None:
    folder = make_run("demo", hf_events(3), wer=False)
    page = report(folder)
    assert "cross-entropy (nats a frame)" in page and "<small>nats</small>" in page
    config = (folder / "config.yaml").read_text()
    target = "mbr.MinimumBayesRisk, level: pdf"
    (folder / "config.yaml").write_text(config.replace("cross_entropy.CrossEntropy", target))
    page = report(folder)
    assert "expected share of wrong frames" in page and "nats" not in page


def test_words_and_names_are_escaped(make_run: MakeRun) -> None:
    page = report(make_run("<b>bold & brash", hf_events(3)))
    assert "<b>bold" not in page
    assert "&lt;b&gt;bold &amp; brash" in page
    assert "<deleted>" not in page


def test_only_the_headline_set_lists_its_worst_utterances(make_run: MakeRun) -> None:
    page = report(make_run("demo", hf_events(3)))
    assert "Worst utterances of test" in page
    assert "not-of-this-set" not in page


def test_settings_are_shown_once(make_run: MakeRun) -> None:
    page = report(make_run("demo", hf_events(3)))
    assert "chunk_frames" in page
    assert "only_in_the_trainer" not in page


def test_parts_are_named_in_words(make_run: MakeRun) -> None:
    run = RunData.read(make_run("demo", hf_events(3)))
    assert parts_chosen(run) == [
        "flexible conjugate gradient",
        "LBFGS preconditioner",
        "geometric sampling",
        "DNN",
        "cross entropy",
    ]


def test_the_same_run_gives_the_same_page(make_run: MakeRun) -> None:
    folder = make_run("demo", hf_events(10))
    assert report(folder) == report(folder)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run here"):
        write_report(tmp_path)


def test_a_damaged_line_is_named(make_run: MakeRun) -> None:
    folder = make_run("torn", hf_events(3))
    lines = (folder / "events.jsonl").read_text().splitlines()
    (folder / "events.jsonl").write_text("\n".join([lines[0], '{"broken', *lines[1:]]) + "\n")
    with pytest.raises(InputError, match=r"events\.jsonl:2"):
        write_report(folder)


@pytest.mark.parametrize("content", ["- a list\n", "a: [unclosed\n"])
def test_a_damaged_config_is_named(make_run: MakeRun, content: str) -> None:
    folder = make_run("odd", hf_events(3))
    (folder / "config.yaml").write_text(content)
    with pytest.raises(InputError, match=r"config\.yaml"):
        write_report(folder)


def test_results_without_events_still_make_a_page(make_run: MakeRun) -> None:
    folder = make_run("moved", hf_events(3))
    (folder / "events.jsonl").unlink()
    result = json.loads((folder / "result.json").read_text())
    assert f"{result['heldout_loss']:.4f}" in report(folder)
