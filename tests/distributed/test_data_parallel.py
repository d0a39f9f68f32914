"""HF by several real processes: the same result, few messages."""

from __future__ import annotations

import numpy as np
import pytest

CASES = ("lbfgs", "kfac", "variance", "fisher", "smbr", "batch", "constrained")
NUMBERS = ("train_loss", "acceptance_loss", "lambda", "cg_value", "gradient_norm", "step")
EXACT = ("cg_iterations", "cg_reason", "iterate", "gradient_frames", "curvature_frames")


@pytest.mark.parametrize(
    ("case", "count"), [("kfac", 2), ("smbr", 2), *((case, 3) for case in CASES)]
)
def test_any_number_of_processes_gives_the_same_losses_and_parameters(trained, case, count):
    """To 1e-6 relative after ten iterations, in float64."""
    alone, together = trained[case, 1], trained[case, count]
    assert_same(alone, together)
    # Training went somewhere, so that equal is not equally stuck.
    assert alone["events"][-1]["acceptance_loss"] < alone["events"][0]["train_loss"]


def assert_same(alone, together):
    assert len(alone["events"]) == len(together["events"]) == 10
    for one, many in zip(alone["events"], together["events"], strict=True):
        assert {k: one[k] for k in EXACT} == {k: many[k] for k in EXACT}
        for key in NUMBERS:
            assert many[key] == pytest.approx(one[key], rel=1e-6), key
    for key in ("theta", "estimate"):
        np.testing.assert_allclose(together[key], alone[key], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("case", CASES)
def test_divided_vectors_give_the_same_too(trained, case):
    assert_same(trained[case, 1], trained[f"{case}-sharded", 3])


@pytest.mark.parametrize("case", ["lbfgs", "kfac"])
def test_a_run_goes_on_with_vectors_divided_or_whole(trained, case):
    """Divided, then whole, then divided again, each from what the one before has saved."""
    assert_same(trained[case, 1], trained[f"{case}-changing", 3])


def test_a_rank_holds_its_part_of_the_vectors_of_cg_and_of_the_pairs(trained):
    size = len(trained["lbfgs", 1]["theta"])
    assert trained["lbfgs", 3]["held"] == [size]
    for case in ("lbfgs-sharded", "smbr-sharded", "variance-sharded"):
        assert trained[case, 3]["held"] == [-(-size // 3)]


@pytest.mark.parametrize("case", ["lbfgs", "smbr", "variance"])
def test_a_step_on_divided_vectors_gathers_one_scatters_one_and_adds_up_few_scalars(trained, case):
    size, count = len(trained[case, 1]["theta"]), 3
    padded = count * -(-size // count)
    for run in trained[f"{case}-sharded", count]["in_cg"]:
        vectors = [n for n in run["sizes"] if n == padded]
        scalars = [n for n in run["sizes"] if n != padded]
        assert 2 * run["steps"] <= len(vectors) <= 2 * (run["steps"] + 1)
        # Four pairs at most, two products with each.
        assert max(scalars) <= 8 and len(scalars) <= 4 * run["steps"] + 6


@pytest.mark.parametrize("case", CASES)
def test_work_is_counted_over_all_ranks_and_shared_among_them(trained, case):
    alone, together = trained[case, 1], trained[case, 3]
    assert together["frames"] == alone["frames"]
    for kind, frames in alone["frames"].items():
        # One utterance holds a quarter of all frames, which no deal can mend.
        assert together["own_frames"][kind] <= 0.5 * frames


@pytest.mark.parametrize("case", CASES)
def test_a_cg_step_sends_one_vector_and_nothing_else(trained, case):
    """No scalars either: every rank computes them from the same sums."""
    size = len(trained[case, 1]["theta"])
    runs = trained[case, 3]["in_cg"]
    assert sum(run["steps"] for run in runs) >= 10
    for run in runs:
        assert set(run["sizes"]) <= {size}
        # One more where CG starts from the last step.
        assert run["steps"] <= len(run["sizes"]) <= run["steps"] + 1


def test_a_rank_that_hangs_is_named(trained):
    assert trained["hang"].startswith("rank 1 did not answer (sum)")
    assert "the same command continues" in trained["hang"]


def test_the_full_batch_baseline_gives_the_same_too(trained):
    alone, together = trained["baseline", 1], trained["baseline", 3]
    losses = [[e["train_loss"] for e in run["events"]] for run in (alone, together)]
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-6)
    assert losses[0][-1] < losses[0][0]
    assert together["frames"] == alone["frames"]
