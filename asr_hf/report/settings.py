"""Formats the configuration of a run for the report."""

from __future__ import annotations

import re
from html import escape
from typing import Any

from asr_hf.report.run_data import RunData

# Groups that only the Hessian-free optimiser uses, and those that only minibatch optimisers use.
_HF_PARTS = ("solver", "preconditioner", "sampling", "damping")
_MINIBATCH_PARTS = ("schedule",)


def parts_chosen(run: RunData) -> list[str]:
    """Return the names of the run's classes as words, such as "flexible conjugate gradient"."""
    groups = ["model", "criterion"]
    if run.optimiser == "hf":
        groups = ["solver", "preconditioner", "sampling", *groups]
    chosen = []
    for group in groups:
        section = run.config.get(group)
        target = section.get("_target_") if isinstance(section, dict) else None
        if target:
            chosen.append(_in_words(str(target).rsplit(".", 1)[-1]))
    return chosen


def settings_html(run: RunData) -> str:
    """Return all settings as HTML, by section, in a block that opens on demand."""
    sections = {"run": {k: v for k, v in run.config.items() if not isinstance(v, dict)}}
    unused = unused_groups(run)
    # The trainer repeats groups that have their own sections.
    repeated = {*_HF_PARTS, *_MINIBATCH_PARTS} & run.config.keys()
    for name, section in run.config.items():
        if isinstance(section, dict) and name not in unused:
            left_out = repeated if name == "trainer" else set()
            sections[name] = {k: v for k, v in section.items() if k not in left_out}
    body = "".join(
        f"<section><h3>{escape(name)}</h3><dl>{_rows(section)}</dl></section>"
        for name, section in sections.items()
        if section
    )
    return (
        "<details><summary>All settings</summary>"
        f'<div class="panel settings">{body}</div></details>'
    )


def unused_groups(run: RunData) -> set[str]:
    """Return the groups of a run's configuration that its optimiser makes no use of."""
    used = {"hf": _HF_PARTS, "lbfgs": ()}.get(run.optimiser, _MINIBATCH_PARTS)
    return {*_HF_PARTS, *_MINIBATCH_PARTS} - set(used)


def _rows(section: dict[str, Any]) -> str:
    return "".join(
        f"<dt>{escape(key)}</dt><dd>{escape(shown(value))}</dd>"
        for key, value in _flat(section).items()
    )


def _flat(section: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    rows: dict[str, Any] = {}
    for key, value in section.items():
        if isinstance(value, dict):
            rows |= _flat(value, f"{prefix}{key}.")
        elif key == "_target_":
            rows[f"{prefix}class"] = str(value).rsplit(".", 1)[-1]
        elif key == "_partial_":
            continue
        else:
            rows[f"{prefix}{key}"] = value
    return rows


def shown(value: Any) -> str:
    """Return the value of a setting as text."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    return str(value).strip()


def _in_words(name: str) -> str:
    """Return the name of a class as words, in lower case except for acronyms.

    >>> _in_words("FlexibleConjugateGradient")
    'flexible conjugate gradient'
    """
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)
    return " ".join(word if word.isupper() else word.lower() for word in words)
