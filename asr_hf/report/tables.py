"""Formats the tables of the report: iterations, word error rates, worst utterances."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape
from typing import Any

from asr_hf.report.adaptation import TITLES, cells
from asr_hf.report.run_data import Event, RunData, number
from asr_hf.report.scale import si

_WORST_SHOWN = 12

_COLUMNS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("iteration", "iteration", lambda v: f"{v:.0f}"),
    ("train_loss", "train loss", lambda v: f"{v:.4f}"),
    ("heldout_loss", "held-out loss", lambda v: f"{v:.4f}"),
    ("heldout_frame_error", "frame error", lambda v: f"{100 * v:.2f} %"),
    ("learning_rate", "rate", si),
    ("cg_iterations", "CG", lambda v: f"{v:.0f}"),
    ("lambda", "λ", si),
    ("rho", "ρ", lambda v: f"{v:.2f}"),
    ("step", "step", lambda v: f"{v:.3g}" if v else "rejected"),
    ("gradient_norm", "‖gradient‖", si),
    ("gradient_frames", "gradient frames", si),
    ("curvature_frames", "curvature frames", si),
    ("work", "work", si),
    ("seconds", "seconds", lambda v: f"{v:.1f}"),
)


def iterations_table(run: RunData) -> str:
    """Return the table of all events as HTML, in a block that opens on demand.

    Columns that no event fills are left out.
    """
    columns = [
        column for column in _COLUMNS if any(number(e, column[0]) is not None for e in run.events)
    ]
    head = "".join(f'<th scope="col">{escape(title)}</th>' for _, title, _ in columns)
    rows = "".join(
        "<tr>"
        + "".join(f"<td>{escape(_cell(event, key, write))}</td>" for key, _, write in columns)
        + "</tr>"
        for event in run.events
    )
    return (
        "<details><summary>Every iteration in figures</summary>"
        f'<div class="panel"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
        "</div></details>"
    )


def wer_table(wer: dict[str, Any]) -> str:
    """Return the table of word error rates as HTML, by set and, if there are several, by language.

    Error rates of NIST's tools, which cannot be compared with asr-hf's own, stand below them.

    Args:
        wer: entry "wer" of result.json.
    """
    titles = ("set", "WER", "95 % interval", "errors", "words", "sub", "del", "ins", "utterances")
    rows = []
    for name, figures in wer["sets"].items():
        rows.append(_wer_row(name + " (ours)" * ("hub5" in figures), figures))
        for subset, nist_figures in (figures.get("hub5") or {}).items():
            rows.append(_wer_row(f"{subset} (NIST's hubscr)", nist_figures, part=True))
        languages = figures.get("languages") or {}
        if len(languages) > 1:
            rows += [_wer_row(language, part, part=True) for language, part in languages.items()]
    return _panel(titles, rows)


def adaptation_table(adapted: dict[str, Any]) -> str:
    """Return the table of word error rates before and after adaptation as HTML.

    Args:
        adapted: entry "adaptation" of result.json.
    """
    rows = [_row(name, others) for name, *others in map(cells, adapted["rows"])]
    return _panel(TITLES, rows)


def worst_html(run: RunData) -> str:
    """Return the worst utterances of the headline set as HTML, word by word."""
    headline = run.result["wer"].get("set")
    chosen = [worst for worst in run.worst if worst["set"] == headline][:_WORST_SHOWN]
    if not chosen:
        return ""
    blocks = "".join(map(_utterance, chosen))
    return (
        f"<h2>Worst utterances of {escape(headline)}</h2>"
        '<p class="key">Spoken above, recognised below; a dash where a word is missing.</p>'
        f'<div class="panel">{blocks}</div>'
    )


def _cell(event: Event, key: str, write: Callable[[float], str]) -> str:
    value = number(event, key)
    return "–" if value is None else write(value)


def _wer_row(name: str, figures: dict[str, Any], *, part: bool = False) -> str:
    found = [f"{figures['percent']:.2f} %"]
    found.append("{:.1f} to {:.1f}".format(*figures["interval"]) if "interval" in figures else "–")
    counts = ("errors", "words", "substitutions", "deletions", "insertions", "utterances")
    found += [str(figures.get(key, "–")) for key in counts]
    return _row(name, found, part=part)


def _row(name: str, others: Iterable[str], *, part: bool = False) -> str:
    """Return a row with its first cell as heading."""
    kind = ' class="part"' if part else ""
    return (
        f'<tr{kind}><th scope="row">{escape(name)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in others)
        + "</tr>"
    )


def _panel(titles: Iterable[str], rows: Iterable[str]) -> str:
    """Return a table of rows below titles, on a panel."""
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    return (
        f'<div class="panel"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _utterance(worst: dict[str, Any]) -> str:
    words = "".join(_word(ref, hyp) for ref, hyp in worst["alignment"])
    count = worst["errors"]
    errors = f"{count} error{'' if count == 1 else 's'} in {worst['words']} words"
    return (
        f'<div class="utterance"><p>{escape(worst["utterance"])}: {escape(errors)}</p>'
        f'<div class="words">{words}</div></div>'
    )


def _word(ref: str | None, hyp: str | None) -> str:
    kind = "" if ref == hyp else ' class="wrong"'
    return f"<span{kind}>{_shown(ref)}{_shown(hyp)}</span>"


def _shown(word: str | None) -> str:
    return '<div class="gap">–</div>' if word is None else f"<div>{escape(word)}</div>"
