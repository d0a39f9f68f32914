"""Writes the HTML page of a run: one file without scripts, which loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from asr_hf.report.curves import Figure, figures
from asr_hf.report.losses import loss_of
from asr_hf.report.notes import notes
from asr_hf.report.run_data import OPTIMISERS, RunData
from asr_hf.report.scale import duration, si
from asr_hf.report.settings import parts_chosen, settings_html
from asr_hf.report.style import STYLE
from asr_hf.report.tables import adaptation_table, iterations_table, wer_table, worst_html
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_text

FILE_NAME = "report.html"

# The page may use its own style sheet and nothing else.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def write_report(run_dir: Path) -> Path:
    """Write report.html into a run folder, from the files that are there so far.

    Args:
        run_dir: the run folder.

    Returns:
        The path of the page.

    Raises:
        InputError: there is no run in the folder, or one of its files is damaged.
        RunError: the page cannot be written.
    """
    path = Path(run_dir) / FILE_NAME
    try:
        text = page(RunData.read(path.parent))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path.parent}: no report can be made: a value in one of its files is of another kind "
            f"than asr-hf writes: {type(error).__name__}: {error}",
            expected="config.yaml, events.jsonl, result.json and score.json as asr-hf writes them",
            remedy="put them back, or train and score again",
        ) from error
    write_text(path, text)
    return path


def page(run: RunData) -> str:
    """Return the page of a run as HTML."""
    body = [_header(run), _cards(run)]
    if adapted := run.result.get("adaptation"):
        came = f"From {escape(Path(adapted['from']).name)}, before and after."
        body.append(f"<h2>Adaptation</h2><p>{came}</p>" + adaptation_table(adapted))
    drawn = figures(run)
    if drawn:
        body.append("<h2>Training</h2>")
        body += [f'<p class="note">{escape(note)}</p>' for note in notes(run)]
        body.append(f'<div class="figures">{"".join(map(figure_html, drawn))}</div>')
        body.append(iterations_table(run))
    else:
        body.append("<h2>Training</h2><p>No iteration has ended yet.</p>")
    if run.result.get("wer"):
        body.append("<h2>Word error rate</h2>" + wer_table(run.result["wer"]))
        body.append(worst_html(run))
    if run.config:
        body.append("<h2>Configuration</h2>" + settings_html(run))
    footer = (
        "Written by asr-hf from config.yaml, events.jsonl, result.json and score.json of this "
        "folder."
    )
    return document(run.name, body, footer)


def document(title: str, body: Sequence[str], footer: str) -> str:
    """Return a page as HTML, without scripts, which loads nothing.

    Args:
        title: title of the page, as text.
        body: parts of the page, as HTML.
        footer: last line of the page, as text.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} · asr-hf</title><style>{STYLE}</style></head>\n"
        f"<body><main>{''.join(body)}"
        f"<footer>{escape(footer)}</footer></main></body></html>\n"
    )


def _header(run: RunData) -> str:
    done = int(run.figure("iterations") or 0)
    state = '<span class="state">finished</span>'
    if not run.finished:
        state = f'<span class="state unfinished">unfinished: {done} iterations so far</span>'
    optimiser = OPTIMISERS.get(run.optimiser, run.optimiser)
    about = " · ".join([part for part in (optimiser, *parts_chosen(run)) if part])
    return f"<header><h1>{escape(run.name)}{state}</h1><p>{escape(about)}</p></header>"


def _cards(run: RunData) -> str:
    cards = []
    wer = run.result.get("wer")
    if wer:
        low, high = wer["interval"]
        counted = (
            f"{wer['errors']} of {wer['words']} words; 95\u00a0% interval {low:.1f} to {high:.1f}"
        )
        counted += "; ours, not comparable with NIST's" * ("hub5" in wer)
        cards.append(_card("Word error rate", f"{wer['percent']:.1f}", "%", counted, main=True))
    loss = run.figure("heldout_loss")
    best = run.best
    if loss is not None:
        kind = loss_of(run.config)
        after = f"best, after iteration {best['iteration']}" if best else "best"
        counted = "a frame" if kind.unit else kind.name
        cards.append(
            _card("Held-out loss", f"{loss:.4f}", kind.unit, f"{counted}; {after}", main=not wer)
        )
    error = run.figure("heldout_frame_error")
    if error is not None:
        cards.append(_card("Frame error", f"{100 * error:.1f}", "%", "held out"))
    if (work := run.figure("work")) is not None:
        cards.append(_card("Work", si(work), "", _frames(run)))
    if (seconds := run.figure("seconds")) is not None:
        iterations = int(run.figure("iterations") or 0)
        each = f"{duration(seconds / iterations)} an iteration" if iterations else ""
        cards.append(_card("Training time", duration(seconds), "", each))
    if (size := run.figure("parameters")) is not None:
        cards.append(_card("Parameters", si(size), "", f"{int(size):,}".replace(",", " ")))
    return f'<div class="cards">{"".join(cards)}</div>'


def _card(name: str, figure: str, unit: str, more: str, *, main: bool = False) -> str:
    unit = f" <small>{escape(unit)}</small>" if unit else ""
    return (
        f'<div class="card{" main" if main else ""}"><div class="name">{escape(name)}</div>'
        f'<div class="figure">{escape(figure)}{unit}</div>'
        f'<div class="more">{escape(more)}</div></div>'
    )


def _frames(run: RunData) -> str:
    last: dict[str, Any] = run.events[-1] if run.events else {}
    frames = run.result.get("frames") or last.get("frames") or {}
    return ", ".join(f"{si(count)} {name}" for name, count in frames.items() if count)


def figure_html(figure: Figure) -> str:
    """Return a figure with its title, note and legend as HTML."""
    legend = "".join(
        f'<li class="{colour}"><i></i><span>{escape(name)}</span></li>'
        for colour, name in figure.legend
    )
    listed = f'<ul class="legend">{legend}</ul>' if legend else ""
    return (
        f"<figure><figcaption><h3>{escape(figure.title)}</h3><p>{escape(figure.note)}</p>"
        f"{listed}</figcaption>{figure.svg}</figure>"
    )
