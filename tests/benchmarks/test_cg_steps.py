"""The comparison of preconditioners by CG steps."""

from __future__ import annotations

import itertools

import torch

from asr_hf.curvature.precision import Precision
from asr_hf.hf.preconditioners.lbfgs import LBFGSPreconditioner
from benchmarks.cg_steps import Bench, Renewing, Trial, steps_to, table
from benchmarks.iteration import make_objective
from benchmarks.run import QUICK_PLANS


def test_steps_are_counted_to_the_first_value_that_is_low_enough():
    assert steps_to([0.0, -1.0, -3.0, -2.0, -4.0], -2.5) == 2
    assert steps_to([0.0, -1.0], -1.5) is None


def test_the_table_s_shares_are_of_the_lowest_value_of_all():
    text = table([Trial("a", [0.0, -1.0, -2.0]), Trial("b", [0.0, -2.0, -4.0])])
    assert "| a | 2 | – | – | 50.0% |" in text
    assert "| b | 1 | 2 | 2 | 100.0% |" in text


def make_bench(tmp_path) -> Bench:
    plan = QUICK_PLANS[0]
    objective = make_objective(plan.net, torch.device("cpu"), plan.work, Precision.FP32, tmp_path)
    return Bench(objective, objective.model.flat.detach().clone(), 256, 0.05, 6)


def test_every_candidate_minimises_the_same_quadratic(tmp_path):
    bench = make_bench(tmp_path)
    trials = {trial.label: trial for trial in (one() for one in bench.trials())}
    cold = [t for label, t in trials.items() if "warm" not in label]
    assert all(trial.values[0] == 0.0 for trial in cold)
    assert all(len(trial.values) == 7 for trial in trials.values())
    for trial in trials.values():
        assert all(b <= a for a, b in itertools.pairwise(trial.values))


def test_renewal_takes_the_run_s_own_pairs_into_use(tmp_path):
    inner = LBFGSPreconditioner(4)
    renewing = Renewing(inner, None, every=2)  # type: ignore[arg-type]
    renewing.prepare(0.1, None)  # type: ignore[arg-type]
    vectors = torch.randn(3, 20, generator=torch.Generator().manual_seed(0))
    counts = []
    for vector in vectors:
        renewing.observe(vector, 2 * vector)
        counts.append(inner.count)
    assert counts == [0, 2, 2]
