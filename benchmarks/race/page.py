"""Writes the race as a page with tables and pictures, from as much of it as has been run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asr_hf.runtime.files import write_text
from benchmarks.race import wording
from benchmarks.race.charts import draw_curves, draw_profile, draw_steps
from benchmarks.race.figures import (
    failures,
    method_figures,
    planned_trials,
    profile,
)
from benchmarks.race.plan import OURS, Plan, Workload
from benchmarks.race.results import Record, Results
from benchmarks.report import table

_NOT_RUN = "not run"
# CPU seconds over seconds passed, below which others had the core as well.
_WHOLE_CORE = 0.9
_PAPER = {
    "plain": "plain HF",
    "preconditioner": "+ L-BFGS preconditioner",
    "sampling": "+ geometric sampling",
    "both": "both",
}


def write_page(plan: Plan, results: Results, out: Path) -> None:
    """Write the page to `out`, and its pictures beside it as SVG.

    Args:
        plan: the race.
        results: what has been run, with the figures of `benchmarks.race.summary`.
        out: path of the page.
    """
    begun = [w for w in plan.workloads.values() if _any_run(results, w)]
    parts = [wording.introduction(plan, results.content), _summary(plan, results)]
    if begun:
        picture = out.with_name(f"{out.stem}-curves.svg")
        draw_curves(plan, results, begun, picture)
        parts.append(f"![held-out loss over seconds]({picture.name})\n")
    ratios = profile(plan, results)
    if ratios:
        picture = out.with_name(f"{out.stem}-profile.svg")
        draw_profile(plan, ratios, picture)
        parts.append(f"## Performance profile\n\n{wording.PROFILE}\n![profile]({picture.name})\n")
    parts += [_workload(plan, results, workload) for workload in begun]
    parts += [_steps(plan, results, out), _gemm(plan, results), _paper(results)]
    parts += [_failures(plan, results), _not_run(plan, results), _runs(plan, results)]
    write_text(out, "\n".join(part for part in parts if part))


def _any_run(results: Results, workload: Workload) -> bool:
    return bool(results.content.get("workloads", {}).get(workload.name, {}).get("begun"))


def _summary(plan: Plan, results: Results) -> str:
    heads = ["workload", "budget", "tuned", "self-tuned", "loss, HF", "loss, best baseline"]
    heads += ["WER, HF", "WER, best baseline", "trials"]
    rows = []
    for name, workload in plan.workloads.items():
        found = results.content["workloads"][name]
        rows.append(
            (
                workload.label,
                f"{workload.seconds:g} s",
                _speed(found["tuned_speedup"]),
                _speed(found["self_tuned_speedup"]),
                _known(found["equal_time_loss_ours"], "{:.3f}"),
                _known(found["equal_time_loss_best"], "{:.3f}"),
                _known(found["wer_ours"], "{:.1f} %"),
                _known(found["wer_best"], "{:.1f} %"),
                f"{found['trials_done']} of {found['trials_planned']}",
            )
        )
    return f"## In short\n\n{wording.SUMMARY}\n" + table(heads, rows)


def _speed(value: float | None) -> str:
    if value is None:
        return _NOT_RUN
    return f"{value:.2f}×" if value > 0 else "not reached"


def _known(value: float | None, form: str) -> str:
    return _NOT_RUN if value is None else form.format(value)


def _workload(plan: Plan, results: Results, workload: Workload) -> str:
    rows = []
    for method in (OURS, *plan.methods):
        found = method_figures(plan, workload, results, method)
        if found is None:
            continue
        times = [] if found["to_target"] is None else [f"{found['to_target']:.1f} s"]
        if found["missed"]:
            times.append(f"never in {found['missed']} of {found['studies']}")
        rows.append(
            (
                plan.label(method),
                _known(found["loss"], "{:.3f}"),
                ", ".join(times) or "–",
                str(found["runs"]),
                str(found["failed"]),
            )
        )
    of_studies = results.content["workloads"][workload.name]
    lines = [
        f"- {track}, seed {each['seed']}: target {each['target']:.3f}, reached by "
        f"{plan.label(each['method'])} in {each['theirs']:.1f} s, by HF "
        + (f"in {each['ours']:.1f} s: {_speed(each['speedup'])}" if each["ours"] else "never")
        for track, key in (("tuned", "tuned"), ("self-tuned", "self_tuned"))
        for each in of_studies[key]
    ]
    if of_studies["wer_machine"] not in (None, of_studies["machine"]):
        lines.append(
            f"- word error rates: the best run of each side, trained again for the same time on "
            f"{of_studies['wer_machine']}"
        )
    heads = ("method", "loss of its best run", "time to the target", "runs", "failed")
    return (
        f"## {workload.label}\n\nThe machine is {of_studies['machine']}.\n\n{table(heads, rows)}\n"
        + "\n".join(lines)
        + "\n"
    )


def _steps(plan: Plan, results: Results, out: Path) -> str:
    found = results.content["steps"]
    measured = {
        name: rows
        for name, rows in found["workloads"].items()
        if any(size["runs"] for sizes in rows.values() for size in sizes.values())
    }
    if not measured:
        return ""
    picture = out.with_name(f"{out.stem}-steps.svg")
    draw_steps(plan, measured, picture)
    text = wording.steps_introduction(
        plan,
        found["target"],
        _speed(results.content["sequential_steps_speedup_8k"]),
        _speed(results.content["modelled_speedup_64_workers"]),
    )
    text += f"\n![steps to the target over frames of a minibatch]({picture.name})\n"
    for name, rows in measured.items():
        heads = ("method", *(str(batch) for batch in plan.steps.batches))
        cells = [
            (plan.label(method), *(_size(size) for size in sizes.values()))
            for method, sizes in rows.items()
        ]
        text += f"\n{plan.workloads[name].label}:\n\n{table(heads, cells)}"
    return text


def _size(size: dict[str, Any]) -> str:
    if size["steps"] is None:
        return "not reached" if size["exhausted"] else _NOT_RUN
    modelled = size.get("modelled_seconds")
    return f"{size['steps']:.0f}" + (f" ({modelled:.1f} s)" if modelled is not None else "")


def _gemm(plan: Plan, results: Results) -> str:
    shares = results.content.get("gemm_share", {})
    if not shares:
        return ""
    methods = [m for m in (OURS, *plan.methods) if any(m in found for found in shares.values())]
    rows = [
        (
            plan.workloads[name].label,
            *(f"{100 * of[m]['share']:.0f} %" if m in of else "–" for m in methods),
        )
        for name, of in shares.items()
        if name in plan.workloads
    ]
    return f"## Share of matrix products\n\n{wording.SHARES}\n" + table(
        ("workload", *(plan.label(m) for m in methods)), rows
    )


def _paper(results: Results) -> str:
    found = results.content.get("paper_table")
    if not found:
        return ""
    rows = [
        (
            label,
            f"{found[key]['seconds']:.0f} s",
            f"{found[key]['work'] / 1e6:.0f} M",
            f"{found[key]['cg_iterations']:g}",
            f"{found[key]['wer']:.1f} %",
        )
        for key, label in _PAPER.items()
        if found[key]["runs"]
    ]
    ratio = _speed(found.get("both_over_plain_seconds"))
    return (
        "## The paper's table\n\nThe paper adds two parts to plain HF. Each row trains sequences "
        "to a common loss ([paper-table.md](paper-table.md)). Speed of both over plain: "
        f"{ratio}.\n\n" + table(("HF", "time", "work", "CG iterations", "WER"), rows)
    )


def _failures(plan: Plan, results: Results) -> str:
    lost = failures(results, planned_trials(plan))
    if not lost:
        return ""
    lines = [f"- `{trial.name}`: {record['failure']}" for trial, record in lost]
    return "## Runs that failed\n\n" + "\n".join(lines) + "\n"


def _not_run(plan: Plan, results: Results) -> str:
    lines = []
    for name, workload in plan.workloads.items():
        found = results.content["workloads"][name]
        missing = found["trials_planned"] - found["trials_done"]
        if missing:
            lines.append(f"- {workload.label}: {missing} of {found['trials_planned']} trials")
        if found["wer_ours"] is None or found["wer_best"] is None:
            lines.append(f"- {workload.label}: word error rates")
    if results.content["sequential_steps_speedup_8k"] is None:
        lines.append("- steps against minibatches, as far as the table above has gaps")
    others = sorted({r["method"] for r in results.records} | set(plan.first_wave))
    lines += [f"- {m.label}: nowhere" for m in plan.methods.values() if m.key not in others]
    return "\n".join(["## What was not run\n", *(lines or ["Nothing."]), *_notes(results), ""])


def _notes(results: Results) -> list[str]:
    """Say which results do not count, and which were disturbed, each after a blank line."""
    notes = []
    stale = len(results.records) - results.content["runs_counted"]
    if stale:
        notes.append(
            f"\n{stale} results are of other settings than today's, or of a machine that did less "
            "of a workload. They are kept and do not count."
        )
    disturbed = sum(r["core_share"] < _WHOLE_CORE for r in results.records)
    if disturbed:
        notes.append(
            f"\n{disturbed} runs had less than {100 * _WHOLE_CORE:.0f} % of a core, because other "
            "work ran beside them (`core_share` in race.json)."
        )
    return notes


def _runs(plan: Plan, results: Results) -> str:
    blocks = [
        f"On {machine}:\n\n```\n" + "\n".join(map(_line, runs.values())) + "\n```\n"
        for machine, runs in sorted(results.runs.items())
    ]
    return "\n".join([f"## All runs\n\n{wording.RUNS}", *blocks]) if blocks else ""


def _line(record: Record) -> str:
    loss, seconds = record["heldout_loss"], record["seconds"]
    reached = f"{loss:.4f}" if loss is not None and record["state"] == "done" else record["state"]
    took = f"{seconds:.1f} s" if seconds is not None else "–"
    return (
        f"{record['workload']} {record['method']} {record['label']}: {reached} in {took}; "
        + " ".join(_own(record["overrides"]))
    )


def _own(overrides: Sequence[str]) -> list[str]:
    """Return what a run does not share with all others of its workload."""
    start = next((n for n, o in enumerate(overrides) if o.startswith("runtime.seed=")), -1)
    return [o for o in overrides[start:] if not o.startswith("trainer.evaluations_per_epoch")]
