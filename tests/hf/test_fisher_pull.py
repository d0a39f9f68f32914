"""A pull in the metric of a Fisher matrix, against the same matrix laid out densely in float64."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from asr_hf.curvature.kronecker import KroneckerFactor, joined
from asr_hf.curvature.space import Space
from asr_hf.curvature.unit_moments import UnitMoments
from asr_hf.hf.fisher_pull import FisherQuadratic, pull_memory, strengthened
from asr_hf.hf.hessian_free import Stopping
from asr_hf.hf.memory import ProblemSize
from asr_hf.hf.objective import Sample, Split
from asr_hf.hf.penalty import penalised
from asr_hf.hf.preconditioners.kfac import FisherFactors, KFACPreconditioner
from asr_hf.hf.statistics import SampleStatistics
from asr_hf.runtime.errors import InputError

from .test_penalty import OnTraining, by_short_steps, frames_of, hessian_free

DECAY, PULL = 0.3, 0.7


def drawn(*shape, seed):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


def random_factors(layers, diagonal=None):
    """A and B of each layer, positive definite; of one layer B's diagonal alone."""
    found = []
    for number, layer in enumerate(layers):
        a = drawn(30, layer.inputs + 1, seed=2 * number)
        b = drawn(30, layer.outputs, seed=2 * number + 1)
        outputs = b.T @ b / 30
        if number == diagonal:
            outputs = outputs.diagonal().clone()
        found.append(KroneckerFactor(layer.start, a.T @ a / 30, outputs))
    return tuple(found)


def dense(factors, size):
    """F [n, n] with an entry for each pair of parameters: kron(B, A) of [W b], row by row."""
    matrix = torch.zeros(size, size, dtype=torch.float64)
    for factor in factors:
        outs, ins = len(factor.outputs), len(factor.inputs) - 1
        weights = factor.start + torch.arange(outs * ins).view(outs, ins)
        biases = factor.start + outs * ins + torch.arange(outs)
        places = torch.cat([weights, biases[:, None]], dim=1).flatten()
        b = factor.outputs.diag() if factor.outputs.dim() == 1 else factor.outputs
        matrix[places[:, None], places] = torch.kron(b, factor.inputs)
    return matrix


@pytest.fixture(params=[None, 1], ids=["whole", "diagonal"])
def factors(request, net):
    return random_factors(net.layers, request.param)


@pytest.fixture
def centre(theta):
    return drawn(len(theta), seed=7)


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_value_gradient_and_product_are_those_of_the_dense_matrix(factors, theta, centre):
    term, f = FisherQuadratic(factors, centre), dense(factors, len(theta))
    leaf = theta.clone().requires_grad_()
    value = 0.5 * (leaf - centre) @ f @ (leaf - centre)
    (gradient,) = torch.autograd.grad(value, leaf)
    assert term.value(theta) == pytest.approx(float(value.detach()), rel=1e-10)
    before, v = drawn(len(theta), seed=8), drawn(len(theta), seed=9)
    close(term.add_gradient(before.clone(), theta, 3.0), before + 3 * gradient)
    close(term.add_product(before.clone(), v, 5.0), before + 5 * f @ v)


def test_what_no_layer_covers_is_free(net, theta, centre):
    term = FisherQuadratic(random_factors(net.layers)[:1], centre)
    added = term.add_gradient(torch.zeros_like(theta), theta, 1.0)
    start = net.layers[1].start
    assert added[:start].abs().min() > 0 and not added[start:].any()


def test_all_terms_together_are_those_of_the_dense_sum(net, factors, theta, centre, everything):
    """Weight decay, the plain pull and this one; loss, gradient and products."""
    net.old_fisher = factors
    scaled, f = strengthened(net, 2.0), 2 * dense(factors, len(theta))
    found = penalised(net, centre, DECAY, PULL, scaled)
    frames, leaf = frames_of(net, everything), theta.clone().requires_grad_()
    on_weights = torch.zeros_like(theta)
    for place in net.weights:
        on_weights[place] = 1
    away = leaf - centre
    decay = DECAY * (leaf * on_weights).square().sum()
    value = 0.5 * (decay + PULL * away @ away + away @ f @ away)
    expected = net.losses(leaf, everything).sum() + frames * value
    (at,) = torch.autograd.grad(expected, leaf)
    loss, gradient = found.gradient(theta, everything)
    close(gradient, at)
    assert loss.total == pytest.approx(float(expected.detach()), rel=1e-12)
    assert loss.data_mean == pytest.approx(net.loss(theta, everything).mean, rel=1e-12)
    curvature = net.dense_gauss_newton(theta, everything)
    curvature += frames * (torch.diag(DECAY * on_weights + PULL) + f)
    v, made = drawn(len(theta), seed=3), found.curvature(theta, everything)
    for product in (made.product(v), made.exact_product(v), made.product(v, torch.empty_like(v))):
        close(product, curvature @ v)
    heldout = Sample(Split.HELDOUT, np.arange(12))
    assert found.loss(theta, heldout).total == net.loss(theta, heldout).total
    assert found.renew_statistics(theta, everything) == 0


class Halves(Space):
    """The first or the second half of vectors; wholes are known by the parts that were taken."""

    def __init__(self, second):
        self.second, self.known = second, []

    def shard(self, whole):
        self.known.append(whole)
        return whole.chunk(2)[self.second].clone()

    def whole(self, shard):
        return next(w for w in self.known if torch.equal(w.chunk(2)[self.second], shard))

    def all_reduce(self, values):
        return values


def test_parts_of_vectors_get_their_parts(factors, theta, centre):
    whole, v = FisherQuadratic(factors, centre), drawn(len(theta), seed=9)
    slope = whole.add_gradient(torch.zeros_like(theta), theta, 2.0)
    product, parts = whole.add_product(torch.zeros_like(theta), v, 2.0), []
    for second in (0, 1):
        space = Halves(second)
        held, mine, start = whole.held(space), space.shard(v), space.shard(theta)
        nothing = torch.zeros_like(space.shard(theta - centre))
        product_part = held.add_product(nothing.clone(), mine, 2.0)
        parts.append((product_part, held.add_gradient(nothing, start, 2.0)))
    for found, expected in zip(zip(*parts, strict=True), (product, slope), strict=True):
        close(torch.cat(found), expected)


def test_unit_gradients_have_it_once_a_frame(net, factors, theta, centre, everything):
    penalty = penalised(net, centre, fisher=factors)
    slope = dense(factors, len(theta)) @ (theta - centre)
    gradient = penalty.gradient(theta, everything)[1] / frames_of(net, everything)
    statistics = SampleStatistics(penalty, theta, everything, gradient, 3)
    found = statistics.accumulate(UnitMoments(gradient, net.space))
    units, frames = net.unit_gradients(theta, everything), frames_of(net, everything)
    close(found.squares, sum((g + n * slope).square() for n, g in units) / frames)


def test_joined_factors_keep_the_sum_over_outputs(net):
    one, two = random_factors(net.layers)[0], random_factors(net.layers)[0]
    two = replace(two, inputs=drawn(5, 5, seed=4).square() + 1, outputs=3 * two.outputs)
    (found,) = joined([one], [two])
    expected = one.outputs.trace() * one.inputs + two.outputs.trace() * two.inputs
    close(found.outputs.trace() * found.inputs, expected)
    close(found.outputs, one.outputs + two.outputs)
    for first in (one, replace(one, outputs=one.outputs.diagonal())):
        for second in (two, replace(two, outputs=two.outputs.diagonal())):
            (other,) = joined([first], [second])
            close(other.inputs, found.inputs)
            close(torch.einsum("ii->i", _matrix(other.outputs)), found.outputs.diagonal())
    assert joined([one], []) == [one]
    assert joined([one], [replace(two, start=99)]) == [one]


def _matrix(outputs):
    return outputs.diag() if outputs.dim() == 1 else outputs


def test_kfac_preconditions_with_the_sum(net, theta, everything):
    """Where the pull is of the same factors, three times as strong, it is four times the data's."""
    gradient = torch.zeros_like(theta)
    plain = SampleStatistics(net, theta, everything, gradient, 3)
    own = plain.accumulate(FisherFactors(net.layers, 3))
    thrice = [replace(one, outputs=3 * one.outputs) for one in own]
    pulled = SampleStatistics(net, theta, everything, gradient, 3, 0.0, thrice)
    for before, after in zip(own, KFACPreconditioner().factors(pulled), strict=True):
        close(after.inputs, before.inputs)
        close(after.outputs, 4 * before.outputs)


def test_hf_ends_where_the_gradients_balance(net, theta, everything):
    net.old_fisher = random_factors(net.layers)
    before = penalised(net, theta, fisher=strengthened(net, 0.3))
    hf = hessian_free(
        net,
        theta,
        preconditioner=KFACPreconditioner(),
        acceptance=OnTraining(),
        stopping=Stopping(max_iterations=20, patience=0),
        pull_fisher=0.3,
    )
    while not hf.finished:
        hf.step()
    start, end = (before.gradient(t, everything)[1].norm() for t in (theta, hf.theta))
    assert end < 0.03 * start
    assert net.gradient(hf.theta, everything)[1].norm() > 15 * end


def test_stronger_ones_stay_nearer_in_their_own_metric(net, theta, everything):
    net.old_fisher = random_factors(net.layers)
    f, ways, losses = dense(net.old_fisher, len(theta)), [], []
    for strength in (0.03, 0.3, 3.0):
        stopping = Stopping(max_iterations=6, patience=0)
        given = {"acceptance": OnTraining(), "stopping": stopping, "pull_fisher": strength}
        hf = hessian_free(net, theta, **given)
        while not hf.finished:
            hf.step()
        ways.append(float((hf.theta - theta) @ f @ (hf.theta - theta)))
        losses.append(net.loss(hf.theta, everything).mean)
    assert ways == sorted(ways, reverse=True) and ways[-1] < 0.1 * ways[0]
    assert losses == sorted(losses)


def test_short_steps_are_pulled_too(net, theta):
    net.old_fisher = random_factors(net.layers)

    def way(strength):
        return float((by_short_steps(net, theta, pull_fisher=strength) - theta).norm())

    assert way(1.0) < 0.5 * way(0.0)


def test_a_resumed_run_is_pulled_to_the_same_place(net, theta):
    net.old_fisher = random_factors(net.layers)

    def made():
        return hessian_free(net, theta, acceptance=OnTraining(), pull_fisher=0.3)

    whole, first, second = made(), made(), made()
    for _ in range(3):
        whole.step()
        first.step()
    second.load_state_dict(first.state_dict())
    for hf in (whole, second):
        hf.step()
    assert torch.equal(whole.theta, second.theta)


def test_without_a_matrix_or_with_less_than_nothing_it_is_refused(net):
    assert strengthened(net, 0.0) == ()
    with pytest.raises(InputError, match=r"trainer\.pull_fisher=0\.5: there is no Fisher matrix"):
        strengthened(net, 0.5)
    for wrong in (-0.1, float("nan")):
        with pytest.raises(ValueError, match=r"trainer\.pull_fisher"):
            strengthened(net, wrong)


def test_the_forecast_counts_the_matrices(net, theta):
    size = ProblemSize(len(theta), 8, ((4, 5), (5, 3)), 100)
    matrices = 5**2 + 5**2 + 6**2 + 3**2
    fisher = random_factors(net.layers)
    assert pull_memory(size, 0.0, ()) == 0 and pull_memory(size, 0.1, ()) == size.vectors(1)
    for pull in (0.0, 0.1):
        found = pull_memory(size, pull, fisher)
        assert found == size.vectors(3) + 8 * (matrices + 20)
    net.old_fisher = fisher
    plain, pulled = (hessian_free(net, theta, **more) for more in ({}, {"pull_fisher": 1.0}))
    assert pulled.memory(size).bytes - plain.memory(size).bytes == found
