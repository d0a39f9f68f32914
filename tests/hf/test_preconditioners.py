from __future__ import annotations

import numpy as np
import pytest
import torch

from asr_hf.curvature.kronecker import KroneckerFactor
from asr_hf.hf.damping import DampedOperator
from asr_hf.hf.memory import ProblemSize
from asr_hf.hf.objective import Sample, Split
from asr_hf.hf.preconditioners import kronecker
from asr_hf.hf.preconditioners.diagonal import DiagonalPreconditioner
from asr_hf.hf.preconditioners.identity import IdentityPreconditioner
from asr_hf.hf.preconditioners.kfac import KFACPreconditioner
from asr_hf.hf.preconditioners.lbfgs import LBFGSPreconditioner
from asr_hf.hf.preconditioners.pairs import Keep, PairStore
from asr_hf.hf.preconditioners.shampoo import ShampooPreconditioner
from asr_hf.hf.solvers.cg import ConjugateGradient
from asr_hf.hf.solvers.flexible_cg import FlexibleConjugateGradient
from asr_hf.hf.solvers.stopping import RelativeProgress
from asr_hf.hf.statistics import SampleStatistics
from asr_hf.runtime.errors import InputError

N = 30


def random_pairs(count, seed=0):
    g = torch.Generator().manual_seed(seed)
    root = torch.randn(N, N, generator=g, dtype=torch.float64)
    curvature = root @ root.T / N
    s = torch.randn(count, N, generator=g, dtype=torch.float64)
    return s, s @ curvature


def dense_bfgs(s, y, gamma):
    """The inverse BFGS update, Nocedal & Wright (6.17), pair after pair."""
    h = gamma * torch.eye(N, dtype=torch.float64)
    for a, b in zip(s, y, strict=True):
        rho = 1 / (a @ b)
        left = torch.eye(N, dtype=torch.float64) - rho * torch.outer(a, b)
        h = left @ h @ left.T + rho * torch.outer(a, a)
    return h


def two_loop(s, y, gamma, r):
    """Nocedal & Wright, algorithm 7.4."""
    q, alphas = r.clone(), []
    for a, b in reversed(list(zip(s, y, strict=True))):
        alphas.append((a @ q) / (a @ b))
        q -= alphas[-1] * b
    q *= gamma
    for (a, b), alpha in zip(zip(s, y, strict=True), reversed(alphas), strict=True):
        q += (alpha - (b @ q) / (a @ b)) * a
    return q


@pytest.mark.parametrize("damping", [0.0, 0.01, 3.0])
@pytest.mark.parametrize("count", [1, 4, 8])
def test_compact_form_equals_dense_bfgs_and_two_loop(damping, count):
    s, g = random_pairs(count)
    preconditioner = LBFGSPreconditioner(pairs=8)
    for a, b in zip(s, g, strict=True):
        preconditioner.observe(a, b)
    preconditioner.finish()
    preconditioner.prepare(damping, None)
    y = g + damping * s
    gamma = float(s[-1] @ y[-1] / (y[-1] @ y[-1]))
    r = torch.randn(N, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    found = preconditioner.apply(r)
    torch.testing.assert_close(found, dense_bfgs(s, y, gamma) @ r, rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(found, two_loop(s, y, gamma, r), rtol=1e-9, atol=1e-10)


def kfac_with_lbfgs(count, pairs=8):
    """Pairs on two Kronecker blocks of 15 parameters each; the pairs, and H₀ as a matrix."""
    s, g = random_pairs(count)
    initial = KFACPreconditioner()
    preconditioner = LBFGSPreconditioner(pairs=pairs, initial=initial)
    for a, b in zip(s, g, strict=True):
        preconditioner.observe(a, b)
    preconditioner.finish()
    factors = Factors([random_factor(0, 4, 3, 1), random_factor(15, 4, 3, 2)])
    preconditioner.prepare(0.05, factors)
    columns = [initial.apply(e).clone() for e in torch.eye(N, dtype=torch.float64)]
    return preconditioner, s, g + 0.05 * s, torch.stack(columns)


@pytest.mark.parametrize("count", [1, 4, 8])
def test_pairs_on_kronecker_factors_equal_dense_bfgs_from_them(count):
    preconditioner, s, y, h = kfac_with_lbfgs(count)
    h = h * float(s[-1] @ y[-1] / (y[-1] @ h @ y[-1]))
    for a, b in zip(s, y, strict=True):
        rho = 1 / (a @ b)
        left = torch.eye(N, dtype=torch.float64) - rho * torch.outer(a, b)
        h = left @ h @ left.T + rho * torch.outer(a, a)
    r = torch.randn(N, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
    out = torch.empty_like(r)
    assert preconditioner.apply(r, out=out) is out
    torch.testing.assert_close(out, h @ r, rtol=1e-9, atol=1e-10)
    # The secant equation of the newest pair.
    torch.testing.assert_close(preconditioner.apply(y[-1]), s[-1], rtol=1e-9, atol=1e-10)


def test_without_pairs_the_initial_matrix_stands_alone():
    initial = KFACPreconditioner()
    preconditioner = LBFGSPreconditioner(initial=initial)
    preconditioner.prepare(0.05, Factors([random_factor(0, 4, 3, 1)]))
    r = torch.randn(15, dtype=torch.float64)
    assert torch.equal(preconditioner.apply(r), initial.apply(r))


def test_the_initial_matrix_s_state_survives_with_the_pairs():
    first, *_ = kfac_with_lbfgs(5)
    second = LBFGSPreconditioner(pairs=8, initial=KFACPreconditioner(refresh_every=2))
    second.load_state_dict(first.state_dict())
    factors = Factors([random_factor(0, 4, 3, 1), random_factor(15, 4, 3, 2)])
    first.prepare(0.1, factors)
    second.prepare(0.1, factors)
    r = torch.randn(N, dtype=torch.float64)
    torch.testing.assert_close(first.apply(r), second.apply(r))


def test_lbfgs_is_symmetric_positive_definite():
    s, g = random_pairs(6)
    preconditioner = LBFGSPreconditioner(pairs=6)
    for a, b in zip(s, g, strict=True):
        preconditioner.observe(a, b)
    preconditioner.finish()
    preconditioner.prepare(1e-3, None)
    columns = [preconditioner.apply(e) for e in torch.eye(N, dtype=torch.float64)]
    dense = torch.stack(columns)
    torch.testing.assert_close(dense, dense.T, rtol=1e-8, atol=1e-9)
    assert torch.linalg.eigvalsh(0.5 * (dense + dense.T)).min() > 0


def test_no_pairs_is_no_preconditioner():
    preconditioner = LBFGSPreconditioner()
    preconditioner.prepare(1.0, None)
    r = torch.randn(N)
    assert preconditioner.apply(r) is r


def test_pairs_of_one_run_serve_the_next_and_survive_an_empty_one():
    s, g = random_pairs(3)
    preconditioner = LBFGSPreconditioner(pairs=4)
    preconditioner.observe(s[0], g[0])
    preconditioner.prepare(0.1, None)
    assert preconditioner.count == 0
    preconditioner.finish()
    assert preconditioner.count == 1
    preconditioner.finish()
    assert preconditioner.count == 1


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        (Keep.FIRST, [0, 1, 2, 3]),
        (Keep.LAST, [9, 10, 11, 12]),
        (Keep.SPREAD, [0, 4, 8, 12]),
    ],
)
def test_which_pairs_stay(keep, kept):
    store = PairStore(4, keep)
    for k in range(13):
        direction = torch.zeros(20)
        direction[k] = 1.0
        store.add(direction, 2 * direction)
    buffer, count = store.take()
    rows = buffer[:count]
    assert rows.argmax(1).tolist() == kept
    torch.testing.assert_close(buffer[count : 2 * count], 2 * rows)
    assert store.count == 0


@pytest.mark.parametrize("keep", Keep)
@pytest.mark.parametrize("offered", [1, 3, 5, 7, 30])
def test_a_store_taken_from_again_and_again_keeps_its_order(keep, offered):
    """Two buffers change places; what they held before must not show."""
    store, spare = PairStore(4, keep), None
    for _ in range(3):
        for k in range(offered):
            direction = torch.zeros(40)
            direction[k] = 1.0
            store.add(direction, (k + 1) * direction)
        spare, count = store.take(spare)
        order = spare[:count].argmax(1)
        assert order.tolist() == sorted(order.tolist())
        expected = (order + 1.0)[:, None] * spare[:count]
        torch.testing.assert_close(spare[count : 2 * count], expected)


def test_noisy_pairs_are_skipped_and_counted():
    store = PairStore(4, Keep.LAST)
    store.add(torch.ones(5), -torch.ones(5))
    store.add(torch.ones(5), torch.zeros(5))
    assert (store.count, store.skipped) == (0, 2)


def test_lbfgs_of_the_last_run_saves_iterations(net, everything):
    """In the mean over starting points: late pairs of one run are at the mercy of rounding."""
    never = RelativeProgress(tolerance=0.0)
    solver = FlexibleConjugateGradient(max_iterations=200, stopping=never, residual_tolerance=1e-6)
    shares = []
    for seed in range(12):
        generator = torch.Generator().manual_seed(seed)
        theta = 0.5 * torch.randn(net.num_parameters, generator=generator, dtype=torch.float64)
        operator = DampedOperator(net.curvature(theta, everything), 1e-3)
        _, g = net.gradient(theta, everything)
        zeros = torch.zeros_like(g)
        plain = solver.solve(operator, -g, zeros, IdentityPreconditioner())
        preconditioner = LBFGSPreconditioner(pairs=16)
        preconditioner.prepare(1e-3, None)
        solver.solve(operator, -g, zeros, preconditioner)
        preconditioner.finish()
        preconditioner.prepare(1e-3, None)
        helped = solver.solve(operator, -g, zeros, preconditioner)
        shares.append(helped.iterations / plain.iterations)
    assert sum(shares) / len(shares) < 0.75


def test_state_survives_a_round_trip():
    s, g = random_pairs(5)
    first, second = LBFGSPreconditioner(pairs=4), LBFGSPreconditioner(pairs=4)
    for a, b in zip(s, g, strict=True):
        first.observe(a.float(), b.float())
    first.finish()
    second.load_state_dict(first.state_dict())
    r = torch.randn(N)
    for p in (first, second):
        p.prepare(0.2, None)
    assert torch.equal(first.apply(r), second.apply(r))


def test_diagonal_is_martens_formula(net, theta, everything):
    _, g = net.gradient(theta, everything)
    preconditioner = DiagonalPreconditioner(exponent=0.75)
    preconditioner.prepare(0.1, SampleStatistics(net, theta, everything, g / 300, 0))
    squares = sum(u.square() for _, u in net.unit_gradients(theta, everything))
    squares /= net.unit_frames(Split.TRAIN).sum()
    r = torch.randn_like(g)
    torch.testing.assert_close(preconditioner.apply(r), r / (squares + 0.1) ** 0.75)


def test_cg_pairs_are_conjugate(net, theta, everything):
    seen = []

    class Record(IdentityPreconditioner):
        def observe(self, direction, product):
            seen.append((direction.clone(), product.clone()))

    operator = DampedOperator(net.curvature(theta, everything), 0.1)
    _, g = net.gradient(theta, everything)
    ConjugateGradient(max_iterations=6).solve(operator, -g, torch.zeros_like(g), Record())
    p = torch.stack([a for a, _ in seen])
    y = torch.stack([b for _, b in seen]) + 0.1 * p
    gram = p @ y.T
    off = gram - torch.diag(torch.diagonal(gram))
    assert off.abs().max() < 1e-8 * torch.diagonal(gram).max()


class Factors:
    """Statistics of a sample whose factors are known."""

    layers, seed, decay, fisher = (), 0, 0.0, ()

    def __init__(self, factors):
        self.factors = factors

    def accumulate(self, statistic):
        return self.factors


def random_factor(start, fan_in, fan_out, seed):
    g = torch.Generator().manual_seed(seed)
    a = torch.randn(50, fan_in + 1, generator=g, dtype=torch.float64)
    b = torch.randn(50, fan_out, generator=g, dtype=torch.float64)
    return KroneckerFactor(start, a.T @ a / 50, b.T @ b / 50)


def dense_block(factor, damping):
    a, b = factor.inputs, factor.outputs
    pi = ((a.trace() / len(a)) / (b.trace() / len(b))).sqrt()
    a = a + pi * damping**0.5 * torch.eye(len(a), dtype=a.dtype)
    b = b + damping**0.5 / pi * torch.eye(len(b), dtype=b.dtype)
    return a, b


@pytest.mark.parametrize("damping", [1e-3, 0.5])
def test_kfac_equals_the_dense_kronecker_inverse(damping):
    first, second = random_factor(0, 4, 3, 1), random_factor(15, 3, 2, 2)
    preconditioner = KFACPreconditioner()
    preconditioner.prepare(damping, Factors([first, second]))
    r = torch.randn(23, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    found = preconditioner.apply(r)
    for factor, (fan_in, fan_out) in ((first, (4, 3)), (second, (3, 2))):
        a, b = dense_block(factor, damping)
        start, split = factor.start, factor.start + fan_in * fan_out
        stop = split + fan_out
        # Row-major vec of [W b]: the matrix is B ⊗ A.
        wb = torch.cat([r[start:split].view(fan_out, fan_in), r[split:stop, None]], dim=1)
        exact = torch.linalg.solve(torch.kron(b, a), wb.reshape(-1)).view(fan_out, fan_in + 1)
        torch.testing.assert_close(found[start:split].view(fan_out, fan_in), exact[:, :-1])
        torch.testing.assert_close(found[split:stop], exact[:, -1])


@pytest.mark.parametrize(("units", "dtype"), [("AMX", torch.bfloat16), ("", torch.float32)])
@pytest.mark.parametrize("diagonal", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_products_are_narrow_where_the_device_is_faster_so(
    units, dtype, diagonal, bias, monkeypatch
):
    monkeypatch.setattr(kronecker, "arithmetic_units", lambda device: units)
    made = random_factor(2, 40, 30, 1)
    outputs = made.outputs.diagonal() if diagonal else made.outputs
    inputs = made.inputs if bias else made.inputs[:-1, :-1]
    factor = KroneckerFactor(2, inputs.float(), outputs.float().contiguous(), bias)
    r = torch.randn(2 + 31 * 40 + 3, generator=torch.Generator().manual_seed(3))
    exact, narrow = KFACPreconditioner(), KFACPreconditioner(precision="bf16")
    for preconditioner in (exact, narrow):
        preconditioner.prepare(0.1, Factors([factor]))
    (block,) = narrow._blocks
    assert (block.inverse_inputs.dtype, block.inverse_outputs.dtype) == (dtype, dtype)
    expected, found = exact.apply(r), narrow.apply(r)
    error = torch.linalg.vector_norm(found - expected) / torch.linalg.vector_norm(expected)
    assert error == 0 if dtype is torch.float32 else 1e-4 < error < 0.01
    covered = 2 + 30 * 40 + 30 * bias
    assert torch.equal(found[:2], r[:2]) and torch.equal(found[covered:], r[covered:])


def test_no_other_precision_is_known():
    with pytest.raises(ValueError, match="fp32 or bf16"):
        KFACPreconditioner(precision="tf32")


@pytest.mark.parametrize("diagonal", [False, True])
def test_a_layer_without_a_bias_has_the_dense_kronecker_inverse_of_its_weights(diagonal):
    made = random_factor(0, 3, 3, 1)
    outputs = made.outputs.diagonal().clone() if diagonal else made.outputs
    factor = KroneckerFactor(2, made.inputs, outputs, bias=False)
    other = random_factor(14, 2, 1, 2)
    preconditioner = KFACPreconditioner()
    preconditioner.prepare(0.1, Factors([factor, other]))
    r = torch.randn(18, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    found = preconditioner.apply(r)
    if diagonal:
        made = KroneckerFactor(0, made.inputs, outputs.diag())
    a, b = dense_block(made, 0.1)
    exact = torch.linalg.solve(torch.kron(b, a), r[2:14])
    torch.testing.assert_close(found[2:14], exact)
    assert torch.equal(found[:2], r[:2]) and torch.equal(found[17:], r[17:])
    again = KFACPreconditioner()
    again.load_state_dict(preconditioner.state_dict())
    again.prepare(0.1, Factors([factor, other]))
    torch.testing.assert_close(again.apply(r), found)


def test_a_diagonal_factor_is_that_of_a_diagonal_matrix():
    whole = random_factor(2, 4, 3, 1)
    diagonal = whole.outputs.diagonal().clone()
    r = torch.randn(20, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    found, expected = KFACPreconditioner(), KFACPreconditioner()
    found.prepare(0.1, Factors([KroneckerFactor(2, whole.inputs, diagonal)]))
    expected.prepare(0.1, Factors([KroneckerFactor(2, whole.inputs, diagonal.diag())]))
    torch.testing.assert_close(found.apply(r), expected.apply(r))


@pytest.mark.parametrize(("most", "kept"), [(None, True), (3, True), (2, False)])
def test_kfac_takes_the_diagonal_of_many_classes(net, theta, most, kept):
    """The last layer of the tiny net has 3 outputs."""
    sample = Sample(Split.TRAIN, np.arange(4))
    gradient = torch.zeros_like(theta)
    statistics = SampleStatistics(net, theta, sample, gradient, 1)
    whole = KFACPreconditioner().factors(statistics)
    found = KFACPreconditioner(most_classes=most).factors(statistics)
    assert len(net.layers) > 1 and net.layers[-1].outputs == 3
    for one, other in zip(whole[:-1], found[:-1], strict=True):
        torch.testing.assert_close(one.outputs, other.outputs)
    expected = whole[-1].outputs if kept else whole[-1].outputs.diagonal()
    torch.testing.assert_close(found[-1].outputs, expected)


def test_kfac_is_symmetric_positive_definite():
    preconditioner = KFACPreconditioner()
    preconditioner.prepare(1e-3, Factors([random_factor(0, 4, 3, 1)]))
    dense = torch.stack([preconditioner.apply(e) for e in torch.eye(15, dtype=torch.float64)])
    torch.testing.assert_close(dense, dense.T)
    assert torch.linalg.eigvalsh(dense).min() > 0


def test_kfac_averages_its_estimates():
    one, two = random_factor(0, 4, 3, 1), random_factor(0, 4, 3, 2)
    mean = KroneckerFactor(0, (one.inputs + two.inputs) / 2, (one.outputs + two.outputs) / 2)
    r = torch.randn(15, dtype=torch.float64)
    averaged, direct = KFACPreconditioner(decay=0.9), KFACPreconditioner()
    averaged.prepare(0.1, Factors([one]))
    averaged.prepare(0.1, Factors([two]))
    direct.prepare(0.1, Factors([mean]))
    torch.testing.assert_close(averaged.apply(r), direct.apply(r))


def test_parameters_of_no_affine_layer_have_the_identity():
    preconditioner, layer = KFACPreconditioner(), random_factor(2, 4, 3, 1)
    preconditioner.prepare(1e-3, Factors([layer]))
    r = torch.randn(22, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    alone = KFACPreconditioner()
    alone.prepare(1e-3, Factors([KroneckerFactor(0, layer.inputs, layer.outputs)]))
    for found in (preconditioner.apply(r), preconditioner.apply(r, out=torch.empty_like(r))):
        assert torch.equal(found[:2], r[:2]) and torch.equal(found[17:], r[17:])
        torch.testing.assert_close(found[2:17], alone.apply(r[2:17]))


@pytest.mark.parametrize(
    ("made", "method"),
    [
        (KFACPreconditioner(), "K-FAC"),
        (LBFGSPreconditioner(initial=KFACPreconditioner()), "K-FAC"),
        (ShampooPreconditioner(), "Shampoo"),
    ],
)
def test_what_no_factor_covers_is_named_once(made, method, caplog):
    known = ProblemSize(20, 4, ((3, 4),), 100)
    assert made.memory(known) > 0 and not caplog.records
    some = ProblemSize(22, 4, ((3, 4),), 100, others=("norm.scale", "convolution.weight"))
    assert made.memory(some) == made.memory(some)
    (said,) = caplog.messages
    assert said.startswith(f"preconditioner: {method} knows fully connected layers alone")
    assert said.endswith("the identity stands for the curvature of norm.scale, convolution.weight")
    with pytest.raises(InputError, match=f"{method} knows fully connected layers"):
        made.memory(ProblemSize(20, 4, (), 100, others=("convolution.weight",)))
