"""Writes a comparison as one HTML page without scripts, which loads nothing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from asr_hf.report.chart import Axes, Line, line_chart
from asr_hf.report.comparison.comparison import Comparison, LossGroup, curve, total
from asr_hf.report.comparison.settings import shown_setting
from asr_hf.report.comparison.tables import (
    UNKNOWN,
    difference_cell,
    headline_set,
    known_or,
    title,
    wer_cell,
    words_cells,
)
from asr_hf.report.comparison.words import SetComparison
from asr_hf.report.curves import Figure
from asr_hf.report.html import FILE_NAME as REPORT
from asr_hf.report.html import document, figure_html
from asr_hf.report.losses import loss_of
from asr_hf.report.run_data import OPTIMISERS
from asr_hf.report.scale import duration, shared_top, si, time_unit

FILE_NAME = "compare.html"

_COLOURS = ("c1", "c2", "c7", "c4", "c3", "c5", "c6")
_DASHES = ("", " d1", " d2", " d3")
# Runs between which every pair is shown.
_MOST_IN_MATRIX = 12
# Ratio of the longest to the shortest run above which a linear axis hides the short ones.
_WIDE = 8.0


def page(comparison: Comparison, folder: Path, name: str) -> str:
    """Return the page of a comparison.

    Args:
        comparison: the runs.
        folder: folder that the page is written to; links to the runs' own reports start there.
        name: title of the page.
    """
    body = [_header(comparison, name), _runs(comparison, folder), _problems(comparison)]
    colours = _colours(comparison)
    for place, group in enumerate(comparison.groups):
        body.append(_curves(group, place, len(comparison.groups), colours))
    for found in comparison.words:
        body.append(_words(found))
    if comparison.settings:
        body.append("<h2>Settings that differ</h2>" + _settings(comparison))
    footer = (
        "Written by asr-hf compare from config.yaml, events.jsonl, inputs.json, result.json and "
        "decode/ of each run."
    )
    return document(name, body, footer)


def _header(comparison: Comparison, name: str) -> str:
    states = [row["state"] for row in comparison.rows]
    counts = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    return f"<header><h1>{escape(name)}</h1><p>{escape(' · '.join(counts))}</p></header>"


def _runs(comparison: Comparison, folder: Path) -> str:
    several = len(comparison.groups) > 1
    headline = headline_set(comparison)
    head = ["run", "optimiser", "held-out loss", *(["of data"] * several), "frame error"]
    head += ["" if headline is None else f"WER of {headline.name}", "iterations", "work", "time"]
    head += ["common loss", "work to it", "time to it"]
    rows = []
    for row, run in zip(comparison.rows, comparison.runs, strict=True):
        error = row["heldout_frame_error"]
        result = None if headline is None else headline.results.get(row["label"])
        cells = [
            OPTIMISERS.get(row["optimiser"], row["optimiser"]) or UNKNOWN,
            known_or(row["heldout_loss"], "{:.4f}".format),
            *([str(row["heldout_data"] or UNKNOWN)] * several),
            known_or(error, lambda e: f"{100 * e:.1f} %"),
            UNKNOWN if result is None else wer_cell(result),
            str(row["iterations"]),
            known_or(row["work"], si),
            known_or(row["seconds"], duration),
            known_or(row["common_loss"], "{:.4f}".format),
            known_or(row["work_to_common"], si),
            known_or(row["seconds_to_common"], duration),
        ]
        rows.append((_linked(run.folder, row["label"], folder) + _state(row["state"]), cells))
    note = "The common loss is the best held-out loss of the worst finished run"
    note += ", among runs whose losses are of the same held-out labels and criterion."
    return f'<h2>Runs</h2><p class="key">{note}</p>' + _table(head, rows)


def _linked(run: Path, label: str, folder: Path) -> str:
    """Return the label of a run, with a link to its report where there is one."""
    if not (run / REPORT).is_file():
        return escape(label)
    path = Path(os.path.relpath((run / REPORT).absolute(), folder.absolute()))
    return f'<a href="./{escape(quote(path.as_posix()))}">{escape(label)}</a>'


def _state(state: str) -> str:
    return "" if state == "finished" else f'<span class="state unfinished">{escape(state)}</span>'


def _problems(comparison: Comparison) -> str:
    items = [
        f"<dt>{escape(row['label'])}</dt><dd>{escape(problem)}</dd>"
        for row in comparison.rows
        for problem in row["problems"]
    ]
    if not items:
        return ""
    return f'<h2>Not compared</h2><div class="panel amiss"><dl>{"".join(items)}</dl></div>'


def _colours(comparison: Comparison) -> dict[str, str]:
    """Return the classes of each run's line, by its label; colours go round before dashes do."""
    return {
        run.label: _COLOURS[i % len(_COLOURS)] + _DASHES[i // len(_COLOURS) % len(_DASHES)]
        for i, run in enumerate(comparison.runs)
    }


def _curves(group: LossGroup, place: int, count: int, colours: dict[str, str]) -> str:
    longest = max((total(run, "seconds") or 0.0 for run in group.runs), default=0.0)
    unit, unit_name = time_unit(longest)
    drawn = [
        _figure(group, "seconds", unit, f"training time ({unit_name})", colours),
        _figure(group, "frames", 1.0, "frames through the network", colours),
    ]
    heading = "Held-out loss" + (f" of data {place + 1}" if count > 1 else "")
    figures = "".join(map(figure_html, drawn))
    return f'<h2>{heading}</h2><div class="figures">{figures}</div>'


def _figure(
    group: LossGroup, cost: str, unit: float, label: str, colours: dict[str, str]
) -> Figure:
    lines = [
        Line(run.label, colours[run.label], [(x / unit, y) for x, y in curve(run, cost)])
        for run in group.runs
    ]
    ends = [x for line in lines if line.points and (x := line.points[-1][0]) > 0]
    log_x = bool(ends) and max(ends) > _WIDE * min(ends)
    # Of the start, which all share, nothing is seen.
    losses = [[y for _, y in line.points[1:] if y is not None] for line in lines]
    top = shared_top(losses)
    axes = Axes(label, loss_of(group.runs[0].data.config).axis, log_x=log_x, top=top)
    heading = f"Held-out loss over {cost}"
    svg = line_chart(heading, lines, axes)
    note = "Time spent on training itself; looks at the held-out loss are not in it."
    if cost == "frames":
        note = "Frames of all passes together: gradients, curvature products and losses."
    if top is not None:
        note += f" Losses above {top:.3g} are outside the frame."
    return Figure(heading, note, svg, [(line.colour, line.name) for line in lines])


def _words(found: SetComparison) -> str:
    head, cells = words_cells(found)
    rows = [(escape(row[0]), row[1:]) for row in cells]
    note = (
        f"Paired bootstrap over utterances: the difference from {found.reference} in percentage "
        "points with its 95 % interval, a star where that leaves out 0; and the share of resampled "
        "sets on which the run makes fewer errors. Each pair is tested by itself: of twenty "
        "differences that are none, one has a star."
    )
    text = f'<h2>{escape(title(found))}</h2><p class="key">{escape(note)}</p>' + _table(head, rows)
    labels = list(found.results)
    if not 2 < len(labels) <= _MOST_IN_MATRIX:
        return text
    pairs = [
        (
            escape(a),
            [difference_cell(found.pairs.get((a, b))) for b in labels],
        )
        for a in labels
    ]
    matrix = _table(["", *labels], pairs)
    summary = "Every pair: the run of the column minus that of the row"
    return text + f"<details><summary>{summary}</summary>{matrix}</details>"


def _settings(comparison: Comparison) -> str:
    labels = [run.label for run in comparison.runs if run.data.config]
    rows = []
    for key, by_run in comparison.settings.items():
        name, _ = shown_setting(key, None)
        cells = [
            shown_setting(key, by_run[label])[1] if label in by_run else UNKNOWN for label in labels
        ]
        rows.append((escape(name), cells))
    return _table(["setting", *labels], rows)


def _table(head: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]) -> str:
    """Return a table as HTML; the first cell of a row is HTML, the others are text."""
    titles = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    lines = "".join(
        f'<tr><th scope="row">{first}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        + "</tr>"
        for first, cells in rows
    )
    return (
        f'<div class="panel"><table><thead><tr>{titles}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )
