"""Writes the race as a page with tables and pictures, from as much of it as has been run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from asr_hf.runtime.files import write_text
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
    parts = [_introduction(plan, results), _summary(plan, results)]
    if begun:
        picture = out.with_name(f"{out.stem}-curves.svg")
        draw_curves(plan, results, begun, picture)
        parts.append(f"![held-out loss over seconds]({picture.name})\n")
    ratios = profile(plan, results)
    if ratios:
        picture = out.with_name(f"{out.stem}-profile.svg")
        draw_profile(plan, ratios, picture)
        parts.append(
            "## Performance profile\n\nThe share of workloads and studies whose target a method "
            "reaches within a factor of the fastest method's time. The target is the best "
            f"baseline's, so that one of them always gets there.\n\n![profile]({picture.name})\n"
        )
    parts += [_workload(plan, results, workload) for workload in begun]
    parts += [_steps(plan, results, out), _gemm(plan, results), _paper(results)]
    parts += [_failures(plan, results), _not_run(plan, results), _runs(plan, results)]
    write_text(out, "\n".join(part for part in parts if part))


def _any_run(results: Results, workload: Workload) -> bool:
    return bool(results.content.get("workloads", {}).get(workload.name, {}).get("begun"))


def _introduction(plan: Plan, results: Results) -> str:
    said = results.content.get("plan", {})
    commit = said.get("commit", "unknown")
    return (
        "# Our HF against first-order optimisers of today\n\n"
        "Made by `make race`; every run has one thread on a core of its own. Workloads, "
        "budgets and the search space are those of "
        "[`benchmarks/race/workloads.yaml`](../benchmarks/race/workloads.yaml), "
        f"which was committed before any run (commit `{commit[:12]}{commit[40:]}`, SHA-256 "
        f"`{plan.digest[:12]}`); every run is in "
        "[`benchmarks/results/race.json`](../benchmarks/results/race.json).\n\n"
        f"**Tuned track.** Each baseline tries {plan.trials} quasi-random points of one search "
        f"space in each of {len(plan.studies)} studies. The target is the lowest held-out loss "
        "that any of them reaches in the budget. Ours has no search: the preset "
        f"`+preset={plan.preset}` at horizons of the budget over "
        f"{', '.join(f'{divisor:g}' for divisor in plan.horizons)}. The speed-up is the time at "
        "which the best baseline reached the target, over the least time that ours takes to it; "
        "the median over studies. **Self-tuned track.** The same against published settings of "
        "AdamW and Muon alone. Time is the seconds of training, looks at held-out data excluded, "
        "and held-out losses are over all held-out frames. A speed-up below 1 is a defeat. "
        "All runs of a workload that are compared are of one machine.\n\n"
        '`make race` goes on where it was left; of a part: `make race ARGS="--workloads '
        f'{next(iter(plan.workloads))} --only tuned self --minutes 60"`, and `--methods soap '
        "shampoo` with the package pytorch_optimizer.\n"
    )


def _summary(plan: Plan, results: Results) -> str:
    heads = ["workload", "budget", "tuned", "self-tuned", "loss, ours", "loss, best baseline"]
    heads += ["WER, ours", "WER, best baseline", "trials"]
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
    return "## In short\n\n" + table(heads, rows)


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
        f"{plan.label(each['method'])} in {each['theirs']:.1f} s, by ours "
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
        f"## {workload.label}\n\nOn {of_studies['machine']}.\n\n{table(heads, rows)}\n"
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
    text = (
        f"## Steps against minibatches\n\nSteps (changes of θ) to a held-out loss of "
        f"{found['target']:g} by frames of a minibatch: of runs of several lengths, annealed to "
        "their end, the fewest with which one gets there, the baselines at their best rate. In "
        f"brackets the time that it would take on {plan.steps.workers} workers, by a model: they "
        "share what grows with the minibatch, all repeat the rest (updates, orthogonalisation, "
        "inverses), and the sums over workers take "
        f"{plan.steps.link.bandwidth:.3g} bytes a second and {plan.steps.link.latency:.1g} s a "
        "message. Fewest steps of a baseline over ours at 8192 frames, on the workload that is "
        f"worse for us: {_speed(results.content['sequential_steps_speedup_8k'])}; least modelled "
        f"times likewise: {_speed(results.content['modelled_speedup_64_workers'])}.\n\n"
        f"![steps to the target over frames of a minibatch]({picture.name})\n"
    )
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
    return (
        "## Share of matrix products\n\nOf the time of some seconds of training, by torch's "
        "profiler, which itself takes time beside small operations.\n\n"
        + table(("workload", *(plan.label(m) for m in methods)), rows)
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
        f"## The paper's table\n\nSequence training to a common loss; both over plain: {ratio}.\n\n"
        + table(("HF", "time", "work", "CG iterations", "WER"), rows)
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
    stale = len(results.records) - results.content["runs_counted"]
    if stale:
        lines.append(
            f"- {stale} results of other settings than today's, or of a machine that did less of "
            "a workload, are kept and not counted"
        )
    disturbed = sum(r["core_share"] < _WHOLE_CORE for r in results.records)
    if disturbed:
        lines.append(
            f"- undisturbed: {disturbed} runs had less than {100 * _WHOLE_CORE:.0f} % of a core "
            "(`core_share` in race.json)"
        )
    return "## What was not run\n\n" + ("\n".join(lines) or "Nothing.") + "\n"


def _runs(plan: Plan, results: Results) -> str:
    blocks = [
        f"On {machine}:\n\n```\n" + "\n".join(map(_line, runs.values())) + "\n```\n"
        for machine, runs in sorted(results.runs.items())
    ]
    return "\n".join(["## All runs\n", *blocks]) if blocks else ""


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
