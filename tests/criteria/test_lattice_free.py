"""Lattice-free MMI against enumeration of all paths and against autograd, in float64."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_hf.criteria.denominator_paths import DenominatorPaths
from asr_hf.criteria.denominator_recursion import DenominatorRecursion
from asr_hf.criteria.lattice_batch import LatticeBatch
from asr_hf.criteria.lattice_free import LatticeFreeMMI
from asr_hf.criteria.sequence import SequenceTargets
from asr_hf.data.denominator_graph import ARC, DenominatorGraph
from asr_hf.data.lattice import ARC as LATTICE_ARC
from asr_hf.data.lattice import FINAL, Lattice
from asr_hf.runtime.errors import InputError

PDFS, LEAK = 4, 0.1
EXACT = {"rtol": 1e-10, "atol": 1e-10}
CPU = torch.device("cpu")


def some_graph(seed: int, states: int = 3, arcs: int = 8) -> DenominatorGraph:
    """A random graph with parallel arcs, and a state that nothing follows."""
    random = np.random.default_rng(seed)
    made = np.zeros(arcs, ARC)
    made["source"] = random.integers(0, states - 1, arcs)
    made["target"] = random.integers(0, states, arcs)
    made["pdf"] = random.integers(0, PDFS, arcs)
    made["weight"] = random.uniform(0.1, 1.0, arcs)
    made["weight"] /= np.bincount(made["source"], made["weight"], states)[made["source"]]
    return DenominatorGraph(made, random.dirichlet(np.ones(states)), PDFS)


def enumerated(graph: DenominatorGraph, logits: torch.Tensor, leak: float = LEAK) -> torch.Tensor:
    """The log of the weight of all paths of one utterance, one path after the other."""
    initial = torch.from_numpy(graph.initial)
    frames, total = len(logits), torch.zeros((), dtype=torch.float64)
    leaps = [
        torch.eye(graph.num_states, dtype=torch.float64),
        leak * initial.expand(graph.num_states, -1),
    ]
    for arcs in product(range(len(graph.arcs)), repeat=frames):
        for jumps in product(range(2), repeat=frames):
            for start in range(graph.num_states):
                weight, state = initial[start], start
                for frame, (number, jump) in enumerate(zip(arcs, jumps, strict=True)):
                    arc = graph.arcs[number]
                    weight = weight * leaps[jump][state, arc["source"]] * float(arc["weight"])
                    weight = weight * logits[frame, arc["pdf"]].exp()
                    state = int(arc["target"])
                total = total + weight
    return total.log()


def summed(graph: DenominatorGraph, logits: torch.Tensor, leak: float = LEAK) -> torch.Tensor:
    """The same by dense matrices, for autograd."""
    alpha = torch.from_numpy(graph.initial)
    leap = torch.eye(graph.num_states, dtype=torch.float64)
    leap = leap + leak * alpha.expand(graph.num_states, -1)
    sources, targets, pdfs = (
        torch.from_numpy(graph.arcs[key].astype(np.int64)) for key in ("source", "target", "pdf")
    )
    weights = torch.from_numpy(graph.arcs["weight"].copy())
    for frame in logits:
        along = (alpha @ leap)[sources] * weights * frame[pdfs].exp()
        alpha = torch.zeros_like(alpha).index_add(0, targets, along)
    return alpha.sum().log()


def paths_of(
    graph: DenominatorGraph, logits: torch.Tensor, lengths: list[int], keep: bool = True
) -> DenominatorPaths:
    recursion = DenominatorRecursion.of(graph, logits.dtype, CPU)
    return DenominatorPaths(recursion, logits, torch.tensor(lengths), LEAK, keep)


def random_logits(frames: int, seed: int = 0, size: float = 2.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return size * torch.randn(frames, PDFS, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("seed", range(3))
def test_totals_are_sums_over_all_paths(seed):
    graph = some_graph(seed, arcs=5)
    logits = random_logits(3, seed)
    expected = enumerated(graph, logits)
    torch.testing.assert_close(paths_of(graph, logits, [3]).totals[0], expected, **EXACT)
    torch.testing.assert_close(summed(graph, logits), expected, **EXACT)


def assert_autograd(make, seed: int, lengths: list[int]) -> None:
    """Sums of paths that `make` makes of a graph, outputs and lengths are those of autograd."""
    graph = some_graph(seed, states=4, arcs=12)
    logits = random_logits(sum(lengths), seed).requires_grad_()
    totals = torch.stack([summed(graph, piece) for piece in logits.split(lengths)])
    (gradient,) = torch.autograd.grad(totals.sum(), logits, create_graph=True)
    direction = random_logits(sum(lengths), seed + 1)
    (product_,) = torch.autograd.grad((gradient * direction).sum(), logits)
    found = make(graph, logits.detach(), lengths)
    torch.testing.assert_close(found.totals, totals.detach(), **EXACT)
    torch.testing.assert_close(found.occupancies, gradient.detach(), **EXACT)
    # Some make them anew beside the occupancies.
    torch.testing.assert_close(found.totals, totals.detach(), **EXACT)
    torch.testing.assert_close(found.tangent(direction), product_, **EXACT)
    torch.testing.assert_close(
        found.occupancies.sum(1), torch.ones(sum(lengths), dtype=torch.float64), **EXACT
    )


@given(seed=st.integers(0, 1000), lengths=st.lists(st.integers(1, 7), min_size=1, max_size=4))
@settings(max_examples=30, deadline=None)
def test_occupancies_and_tangents_are_those_of_autograd(seed, lengths):
    assert_autograd(paths_of, seed, lengths)


def test_the_fisher_product_is_symmetric_and_positive():
    graph, lengths = some_graph(5, states=4, arcs=12), [4, 6]
    found = paths_of(graph, random_logits(10, 3), lengths)
    identity = torch.eye(10 * PDFS, dtype=torch.float64).view(-1, 10, PDFS)
    dense = torch.stack([found.tangent(row).reshape(-1) for row in identity])
    torch.testing.assert_close(dense, dense.T, **EXACT)
    assert torch.linalg.eigvalsh(dense).min() > -1e-12
    constant = torch.randn(10, 1, dtype=torch.float64).expand(-1, PDFS)
    torch.testing.assert_close(found.tangent(constant), torch.zeros(10, PDFS).double(), **EXACT)


@pytest.mark.parametrize("size", [1e3, 1e30])
def test_no_output_makes_a_sum_nan(size):
    graph = some_graph(1, states=6, arcs=20)
    logits = random_logits(40, 2, size).float()
    found = paths_of(graph, logits, [30, 10])
    assert found.totals.isfinite().all()
    assert found.occupancies.isfinite().all()
    assert found.tangent(torch.randn(40, PDFS)).isfinite().all()
    torch.testing.assert_close(found.occupancies.sum(1), torch.ones(40), rtol=1e-4, atol=1e-4)


def test_sums_in_float32_stay_close_over_long_utterances():
    graph = some_graph(2, states=20, arcs=100)
    logits = random_logits(3000, 4)
    exact, rounded = (paths_of(graph, z, [3000]) for z in (logits, logits.float()))
    torch.testing.assert_close(rounded.totals, exact.totals, rtol=1e-6, atol=0)
    torch.testing.assert_close(rounded.occupancies.double(), exact.occupancies, rtol=0, atol=1e-4)
    direction = random_logits(3000, 5)
    along, expected = rounded.tangent(direction.float()).double(), exact.tangent(direction)
    assert (along - expected).norm() < 1e-3 * expected.norm()


def test_rounding_does_not_add_up_where_few_of_many_states_matter():
    graph, frames = some_graph(2, states=4000, arcs=16000), 400
    logits, direction = random_logits(frames, 4, 10.0).float(), random_logits(frames, 5)
    exact, rounded = (paths_of(graph, z, [frames]) for z in (logits.double(), logits))
    torch.testing.assert_close(rounded.occupancies.double(), exact.occupancies, rtol=0, atol=5e-6)
    along, expected = rounded.tangent(direction.float()).double(), exact.tangent(direction)
    assert (along - expected).norm() < 1e-4 * expected.norm()


@pytest.fixture
def criterion_of(tmp_path):
    """Makes a criterion over a graph."""

    def make(graph: DenominatorGraph, **options) -> LatticeFreeMMI:
        graph.save(tmp_path)
        return LatticeFreeMMI(tmp_path, leak=LEAK, **options)

    return make


def numerator(frames: int, pdfs: list[int]) -> Lattice:
    """Paths through some pdfs in order, each for a frame or more."""
    places = [
        (t, k) for t in range(frames + 1) for k in range(-1, len(pdfs)) if -1 <= k < t + (t == 0)
    ]
    alive = [
        (t, k)
        for t, k in places
        if (t == 0) == (k == -1) and k < min(t, len(pdfs)) and len(pdfs) - 1 - k <= frames - t
    ]
    number = {place: n for n, place in enumerate(alive)}
    rows = [
        (number[t, k], number[t + 1, j], pdfs[j] + 1, 0, -0.1 * (j - k) - 0.2, 0.0)
        for t, k in alive
        for j in (k, k + 1)
        if (t + 1, j) in number and j >= 0
    ]
    finals = np.array([(len(alive) - 1, 0.0)], FINAL)
    times = np.array([t for t, _ in alive], np.int32)
    lattice = Lattice("u", np.array(rows, LATTICE_ARC), times, finals)
    lattice.check(PDFS)
    return lattice


def targets_of(said: list[tuple[int, list[int]]]) -> SequenceTargets:
    lattices = [numerator(frames, pdfs) for frames, pdfs in said]
    pdf_of = np.arange(-1, PDFS, dtype=np.int32)
    labels = torch.cat([torch.tensor(p).repeat_interleave(n // len(p) + 1)[:n] for n, p in said])
    batch = LatticeBatch.pack(lattices, pdf_of, pdf_of + 1, CPU)
    return SequenceTargets(labels, batch, torch.zeros(PDFS), labels, [])


def said_loss(logits: torch.Tensor, frames: int, pdfs: list[int]) -> torch.Tensor:
    """Minus the log weight of all ways to take the frames, one way after the other."""
    ways = [
        way
        for way in product(range(len(pdfs)), repeat=frames)
        if way[0] == 0
        and way[-1] == len(pdfs) - 1
        and all(b - a in (0, 1) for a, b in pairwise(way))
    ]
    scores = [
        sum(
            logits[t, pdfs[k]] - 0.2 - 0.1 * (k - (way[t - 1] if t else -1))
            for t, k in enumerate(way)
        )
        for way in ways
    ]
    return torch.stack(scores).logsumexp(0)


SAID = [(3, [0, 2]), (5, [1, 3, 0])]


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_loss_and_gradient_are_those_of_enumeration(criterion_of, decay):
    graph = some_graph(7)
    criterion = criterion_of(graph, output_decay=decay)
    logits = random_logits(8, 1).requires_grad_()
    parts = logits.split([3, 5])
    losses = [
        summed(graph, z) - said_loss(z, *said) + 0.5 * decay * z.square().sum()
        for z, said in zip(parts, SAID, strict=True)
    ]
    (expected,) = torch.autograd.grad(sum(losses), logits)
    loss, gradient = criterion.loss_and_gradient(logits.detach(), targets_of(SAID))
    # Weights of lattices' arcs are stored in float32.
    torch.testing.assert_close(loss.total, sum(losses).detach(), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradient, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(
        criterion.loss(logits.detach(), targets_of(SAID)).per_frame.split([3, 5])[1].sum(),
        losses[1].detach(),
        rtol=1e-6,
        atol=1e-6,
    )


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_the_curvature_is_the_denominators_hessian(criterion_of, share):
    graph, decay = some_graph(8), 0.2
    criterion = criterion_of(graph, output_decay=decay, cross_entropy=share)
    logits = with_branch(random_logits(8, 2), share).requires_grad_()
    direction = with_branch(random_logits(8, 3), share, 9)
    scores = logits[:, :PDFS]
    total = (
        sum(summed(graph, z) for z in scores.split([3, 5])) + 0.5 * decay * scores.square().sum()
    )
    if share:
        total = total + share * logits[:, PDFS:].logsumexp(1).sum()
    (gradient,) = torch.autograd.grad(total, logits, create_graph=True)
    (expected,) = torch.autograd.grad((gradient * direction).sum(), logits)
    curvature = criterion.curvature(logits.detach(), targets_of(SAID))
    torch.testing.assert_close(curvature(direction), expected, **EXACT)
    into = direction.clone()
    assert curvature(into, into) is into
    torch.testing.assert_close(into, expected, **EXACT)


def with_branch(scores: torch.Tensor, share: float, seed: int = 8) -> torch.Tensor:
    """The outputs of both layers, where there is a second one."""
    return torch.cat([scores, random_logits(len(scores), seed)], 1) if share else scores


def test_the_second_output_layer_is_trained_on_labels(criterion_of):
    graph, targets, share = some_graph(7), targets_of(SAID), 0.3
    plain, both = criterion_of(graph), criterion_of(graph, cross_entropy=share)
    logits = with_branch(random_logits(8, 1), share)
    loss, gradient = both.loss_and_gradient(logits, targets)
    alone, at_scores = plain.loss_and_gradient(logits[:, :PDFS].contiguous(), targets)
    labels = logits[:, PDFS:].clone().requires_grad_()
    frames = torch.nn.functional.cross_entropy(labels, targets.labels, reduction="sum")
    (at_labels,) = torch.autograd.grad(share * frames, labels)
    torch.testing.assert_close(loss.total, alone.total + share * frames.detach(), **EXACT)
    torch.testing.assert_close(gradient, torch.cat([at_scores, at_labels], 1), **EXACT)
    torch.testing.assert_close(loss.per_frame.sum(), loss.total, **EXACT)
    drawn = both.sampled_gradient(logits, targets, torch.full((8, 2), 0.5).double())
    assert drawn.shape == logits.shape


def test_drawn_gradients_have_the_frames_fisher_matrix(criterion_of):
    criterion = criterion_of(some_graph(9), curvature="frame")
    logits, targets = random_logits(8, 4), targets_of(SAID)
    generator, total, draws = (
        torch.Generator().manual_seed(0),
        torch.zeros(8, PDFS, PDFS).double(),
        3000,
    )
    for _ in range(draws):
        uniforms = torch.rand(8, 2, generator=generator, dtype=torch.float64)
        drawn = criterion.sampled_gradient(logits, targets, uniforms)
        total += drawn[:, :, None] * drawn[:, None, :] / draws
    curvature = criterion.curvature(logits, targets)
    columns = [curvature(torch.eye(PDFS).double()[k].expand(8, -1)) for k in range(PDFS)]
    torch.testing.assert_close(total, torch.stack(columns, 2), rtol=0, atol=0.05)


def test_a_damaged_graph_is_refused(tmp_path):
    graph = some_graph(3)
    graph.arcs["weight"][0] = np.nan
    graph.save(tmp_path)
    with pytest.raises(InputError, match="no probability"):
        DenominatorGraph.load(tmp_path, "")
    with pytest.raises(InputError, match="no denominator graph"):
        DenominatorGraph.load(tmp_path / "elsewhere", "")
