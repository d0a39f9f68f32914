"""What the page of the race says around its tables and pictures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.race.plan import Plan


def introduction(plan: Plan, content: Mapping[str, Any]) -> str:
    """Say what the race compares and how it is measured.

    Args:
        plan: the race.
        content: content of race.json.

    Returns:
        The head of the page, in Markdown.
    """
    commit = content.get("plan", {}).get("commit", "unknown")
    published = " and ".join(m.label for m in plan.methods.values() if m.published)
    studies, horizons = len(plan.studies), ", ".join(f"{each:g}" for each in plan.horizons)
    first = next(iter(plan.workloads))
    return f"""\
# HF against first-order optimisers of today

This page compares Hessian-free optimisation (HF) with the optimisers that most people use today,
such as AdamW and Muon. It says which held-out loss each reaches in the same time, and how soon each
reaches the same loss. It is for readers who want to see every run. [results.md](results.md) has the
summary. `make race` makes this page.

## How is it measured?

- **Fixed before any run.** [`benchmarks/race/workloads.yaml`](../benchmarks/race/workloads.yaml)
  holds the workloads, their budgets and the search space. A workload is a corpus with a network,
  and its budget is the seconds that a run may train. The file was committed before any run (commit
  `{commit[:12]}{commit[40:]}`, SHA-256 `{plan.digest[:12]}`). Every run is in
  [`benchmarks/results/race.json`](../benchmarks/results/race.json).
- **Equal means.** Every run has one thread on a core of its own. All runs of a workload that are
  compared are of one machine. Time is the seconds of training, without the looks at held-out data.
  Held-out losses are over all held-out frames.
- **Tuned track.** Each baseline tries {plan.trials} quasi-random points of one search space in each
  of {studies} studies. The target is the lowest held-out loss that any of them reaches in the
  budget.
- **HF has no search.** It is the preset `+preset={plan.preset}`. The tables call it "HF (ours)".
  It runs with several horizons (the seconds after which a run ends): the budget divided by
  {horizons}.
- **Speed-up.** It is the time at which the best baseline reached the target, divided by the least
  time in which HF reaches it. The page gives the median over studies. A speed-up below 1 is a
  defeat.
- **Self-tuned track.** It is the same, but against {published} with published settings alone.

`make race` continues where it stopped. This command does a part of it:

```
make race ARGS="--workloads {first} --only tuned self --minutes 60"
```

`--methods soap shampoo` adds two baselines. They need the package pytorch_optimizer.
"""


SUMMARY = """\
The columns "tuned" and "self-tuned" give the speed-up of HF in the two tracks. The losses are those
that runs of the whole budget reach, in the tuned track. "Trials" counts the runs of the baselines'
search that are done.
"""

PROFILE = """\
A curve shows in which share of workloads and studies a method reaches the target within a factor of
the fastest method's time. The target is the loss of the best baseline, so one of the baselines
always reaches it.
"""

SHARES = """\
The table gives the share of matrix products in the time of some seconds of training. torch's
profiler measures it, and itself takes time beside small operations.
"""

RUNS = """\
A line gives the workload, the method, the name of the run, its held-out loss, its seconds of
training, and the settings that are its own. In names, `s0` is the study with seed 0. `t0` is the
first point of the search, `published` are the published settings, and `x1.3` is the budget divided
by 1.3. `steps-b8192-n180` is a run of 180 steps with minibatches of 8192 frames, and `r` is its
rate.
"""


def steps_introduction(plan: Plan, target: float, fewest: str, modelled: str) -> str:
    """Say what the tables of steps hold.

    Args:
        plan: the race.
        target: held-out loss to which steps are counted.
        fewest: fewest steps of a baseline at 8192 frames, over those of HF.
        modelled: least modelled time of a baseline, over that of HF.

    Returns:
        A section without its tables, in Markdown.
    """
    link = plan.steps.link
    return f"""\
## Steps against minibatches

This section counts the steps (changes of θ) that a method needs to a held-out loss of {target:g}.
The columns are the frames of a minibatch. Each method runs with several numbers of steps, and every
run is annealed to its end. The tables give the fewest steps with which a run gets there. The
baselines have their best rate.

In brackets is the time that the steps would take on {plan.steps.workers} workers, by a model. The
workers share the work that grows with the minibatch. Every worker repeats the rest (updates,
orthogonalisation, inverses). The network between them moves {link.bandwidth:.3g} bytes a second and
takes {link.latency:.1g} s for each message.

Two ratios compare the best baseline with HF, on the workload that is worse for HF:

- fewest steps of a baseline at 8192 frames, over those of HF: {fewest}
- least modelled time of a baseline, over that of HF: {modelled}
"""
