"""Writes a comparison as Markdown tables, JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby
from typing import Any

from asr_hf.report.columns import in_columns
from asr_hf.report.comparison.comparison import COSTS, Comparison, curve
from asr_hf.report.comparison.settings import shown_setting
from asr_hf.report.comparison.words import SetComparison
from asr_hf.report.run_data import OPTIMISERS
from asr_hf.report.scale import duration, si
from asr_hf.scoring.paired import PairedComparison
from asr_hf.scoring.wer import WerResult

UNKNOWN = "–"


def as_text(comparison: Comparison) -> str:
    """Return a comparison for the terminal: Markdown tables, the settings, what is amiss."""
    parts = [runs_table(comparison)]
    parts += [f"{title(found)}\n\n{words_table(found)}" for found in comparison.words]
    if comparison.settings:
        lines = ["Settings that differ:", *_setting_lines(comparison.settings)]
        parts.append("\n".join(lines))
    if problems := problem_lines(comparison):
        parts.append("\n".join(problems))
    return "\n\n".join(parts) + "\n"


def as_json(comparison: Comparison) -> str:
    """Return a comparison as JSON, with the points of the curves."""
    rows = [
        row
        | {
            "settings": {
                key: by_run[row["label"]]
                for key, by_run in comparison.settings.items()
                if row["label"] in by_run
            },
            "curve": {cost: curve(run, cost) for cost in COSTS},
        }
        for row, run in zip(comparison.rows, comparison.runs, strict=True)
    ]
    words = [
        {
            "set": found.name,
            "note": found.note,
            "wer": {label: result.as_dict() for label, result in found.results.items()},
            "nist": found.nist,
            "reference": found.reference,
            "pairs": [
                {
                    "a": a,
                    "b": b,
                    "difference": pair.difference,
                    "interval": list(pair.interval),
                    "probability": pair.probability,
                }
                for (a, b), pair in found.pairs.items()
            ],
        }
        for found in comparison.words
    ]
    tree = {"runs": rows, "settings": list(comparison.settings), "words": words}
    return json.dumps(tree, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(comparison: Comparison) -> str:
    """Return a comparison as CSV: a line a run, with its word errors and differing settings."""
    rows = []
    for row in comparison.rows:
        label = row["label"]
        flat: dict[str, Any] = row | {"problems": "; ".join(row["problems"])}
        for found in comparison.words:
            if label in found.results:
                flat |= _flat_words(found, label)
        values = {key: by_run.get(label) for key, by_run in comparison.settings.items()}
        rows.append(flat | values)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def _flat_words(found: SetComparison, label: str) -> dict[str, Any]:
    result, key = found.results[label], f"wer.{found.name}"
    low, high = result.interval
    flat: dict[str, Any] = {key: result.percent, f"{key}.low": low, f"{key}.high": high}
    flat |= {f"{key}.errors": result.errors, f"{key}.words": result.words}
    flat |= {f"{key}.utterances": result.utterances, f"{key}.against": found.reference}
    if (pair := found.pairs.get((found.reference, label))) is not None:
        flat |= {f"{key}.difference": pair.difference, f"{key}.probability": pair.probability}
        flat |= {f"{key}.difference.low": pair.interval[0]}
        flat |= {f"{key}.difference.high": pair.interval[1]}
    return flat


def runs_table(comparison: Comparison) -> str:
    """Return the figures of the runs as a Markdown table."""
    several = len(comparison.groups) > 1
    known = next((group.common for group in comparison.groups), None)
    to = f"to {known:.4f}" if known is not None and not several else "to common"
    head = ["run", "optimiser", "held-out loss", "frame error", "WER (95 % interval)"]
    head += ["work", f"work {to}", "time", f"time {to}"]
    if several:
        head[3:3] = ["of data", "common loss"]
    headline = headline_set(comparison)
    rows = []
    for row in comparison.rows:
        error = row["heldout_frame_error"]
        cells = [
            row["label"] + ("" if row["state"] == "finished" else f" ({row['state']})"),
            OPTIMISERS.get(row["optimiser"], row["optimiser"]) or UNKNOWN,
            known_or(row["heldout_loss"], "{:.4f}".format),
            known_or(error, lambda e: f"{100 * e:.1f} %"),
            _headline(headline, row["label"]),
            *(known_or(row[key], si) for key in ("work", "work_to_common")),
            *(known_or(row[key], duration) for key in ("seconds", "seconds_to_common")),
        ]
        if several:
            common = known_or(row["common_loss"], "{:.4f}".format)
            cells[3:3] = [str(row["heldout_data"] or UNKNOWN), common]
        rows.append(cells)
    return markdown(head, rows, left=2)


def headline_set(comparison: Comparison) -> SetComparison | None:
    """Return the set whose errors stand beside the losses: test, or else the last one."""
    sets = [found for found in comparison.words if not found.note]
    return next((s for s in sets if s.name == "test"), sets[-1] if sets else None)


def _headline(found: SetComparison | None, label: str) -> str:
    result = None if found is None else found.results.get(label)
    return UNKNOWN if result is None else wer_cell(result)


def title(found: SetComparison) -> str:
    """Return a line on a test set."""
    result = next(iter(found.results.values()))
    about = f"Word errors of {found.name}: {result.utterances} utterances, {result.words} words"
    return about + (f" ({found.note})" if found.note else "")


def words_table(found: SetComparison) -> str:
    """Return the word errors of a set as a Markdown table, beside those of the reference run."""
    return markdown(*words_cells(found), left=1)


def words_cells(found: SetComparison) -> tuple[list[str], list[list[str]]]:
    """Return titles and rows of the table of a set."""
    parts = list(dict.fromkeys(part for figures in found.nist.values() for part in figures))
    head = ["run", "WER (95 % interval)", "errors", f"minus {found.reference}"]
    head += ["better on", *(f"{part} (hubscr)" for part in parts)]
    rows = []
    for label, result in found.results.items():
        pair = found.pairs.get((found.reference, label))
        nist = [known_or(found.nist.get(label, {}).get(part), _percent) for part in parts]
        better = UNKNOWN if pair is None else f"{100 * pair.probability:.1f} %"
        rows.append(
            [label, wer_cell(result), str(result.errors), difference_cell(pair), better, *nist]
        )
    return head, rows


def wer_cell(result: WerResult) -> str:
    """Return a word error rate with its interval as text."""
    low, high = result.interval
    return f"{result.percent:.1f} % ({low:.1f} to {high:.1f})"


def difference_cell(pair: PairedComparison | None) -> str:
    """Return a difference with its interval as text; a star marks one beyond chance."""
    if pair is None:
        return UNKNOWN
    low, high = pair.interval
    return f"{pair.difference:+.2f} ({low:+.2f} to {high:+.2f})" + " *" * pair.beyond_chance


def problem_lines(comparison: Comparison) -> list[str]:
    """Return what is amiss with the runs, a line each."""
    return [f"{row['label']}: {p}" for row in comparison.rows for p in row["problems"]]


def _setting_lines(settings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a line for each setting: its values, and the runs that have them."""
    lines = []
    for key, by_run in settings.items():
        name = shown_setting(key, None)[0]
        texts = sorted((shown_setting(key, value)[1], label) for label, value in by_run.items())
        parts = [
            f"{text} ({', '.join(label for _, label in pairs)})"
            for text, pairs in groupby(texts, key=lambda pair: pair[0])
        ]
        lines.append(f"  {name}: {'; '.join(parts)}")
    return lines


def _percent(value: float) -> str:
    return f"{value:.1f} %"


def known_or(value: float | None, write: Callable[[float], str]) -> str:
    """Return a figure as text, or a dash where it is not known."""
    return UNKNOWN if value is None else write(value)


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int) -> str:
    """Lay out a Markdown table in columns.

    Args:
        head: titles.
        rows: cells of each row.
        left: number of columns, from the first, that are aligned to the left.

    Returns:
        The table, without a line break at its end.
    """
    lines = [[cell.replace("|", "\\|") for cell in row] for row in (head, *rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    rule = [":" + "-" * (w - 1) if i < left else "-" * (w - 1) + ":" for i, w in enumerate(widths)]
    padded = in_columns([lines[0], rule, *lines[1:]], left)
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)
