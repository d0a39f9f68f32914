"""Numerators without an alignment against enumeration of all paths and against autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asr_hf.criteria.lattice_free import LatticeFreeMMI
from asr_hf.criteria.numerators import TranscriptTargets
from asr_hf.criteria.transcript_batch import TranscriptBatch
from asr_hf.criteria.transcript_paths import TranscriptPaths
from asr_hf.data.denominator_graph import ARC as DENOMINATOR_ARC
from asr_hf.data.denominator_graph import DenominatorGraph
from asr_hf.data.transcript_graph import ARC, STATE, TranscriptGraph

PDFS = 5
EXACT = {"rtol": 1e-10, "atol": 1e-10}
CPU = torch.device("cpu")


def some_graph(seed: int, frames: int, states: int = 5) -> TranscriptGraph:
    """A random graph through which some path takes at most as many frames as there are."""
    random = np.random.default_rng(seed)
    ends = {(n, n + 1) for n in range(min(states, frames + 1) - 1)}
    drawn = random.integers(0, states, (2 * states, 2))
    ends |= {(int(a), int(b)) for a, b in drawn if a < b}
    arcs = np.array([(a, b, random.uniform(0.1, 1)) for a, b in sorted(ends)], ARC)
    made = np.zeros(states, STATE)
    made["first"], made["rest"] = random.integers(0, PDFS, (2, states))
    made["stay"] = random.uniform(0.2, 0.9, states)
    made["final"] = random.uniform(size=states) < 0.3
    made["final"][min(states, frames + 1) - 1] = 1
    made["stay"][0] = made["final"][0] = 0
    graph = TranscriptGraph("u", arcs, made, frames)
    graph.check(PDFS)
    assert graph.least_frames <= frames
    return graph


def random_logits(frames: int, seed: int = 0, size: float = 2.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return size * torch.randn(frames, PDFS, generator=generator, dtype=torch.float64)


def enumerated(graph: TranscriptGraph, logits: torch.Tensor) -> torch.Tensor:
    """The log of the weight of all paths, one path after the other."""
    weights = []

    def go(state: int, frame: int, weight: torch.Tensor) -> None:
        if frame == len(logits):
            if graph.states["final"][state]:
                weights.append(weight)
            return
        here = graph.states[state]
        if here["stay"]:
            go(state, frame + 1, weight * float(here["stay"]) * logits[frame, here["rest"]].exp())
        for arc in graph.arcs[graph.arcs["source"] == state]:
            pdf = graph.states["first"][arc["target"]]
            entering = float(arc["weight"]) * logits[frame, pdf].exp()
            go(int(arc["target"]), frame + 1, weight * entering)

    go(0, 0, torch.ones((), dtype=torch.float64))
    return torch.stack(weights).sum().log()


def summed(graph: TranscriptGraph, logits: torch.Tensor) -> torch.Tensor:
    """The same by dense matrices, for autograd."""
    states = graph.states
    alpha = torch.zeros(len(states), dtype=torch.float64)
    alpha[0] = 1.0
    move = torch.zeros(len(states), len(states), dtype=torch.float64)
    for source, target, weight in graph.arcs.tolist():
        move[source, target] += weight
    first, rest = (torch.from_numpy(states[key].astype(np.int64)) for key in ("first", "rest"))
    stay, final = (torch.from_numpy(states[key].astype(float)) for key in ("stay", "final"))
    for frame in logits:
        alpha = (alpha @ move) * frame[first].exp() + alpha * stay * frame[rest].exp()
    return (alpha * final).sum().log()


def paths_of(graphs: list[TranscriptGraph], logits: torch.Tensor) -> TranscriptPaths:
    return TranscriptPaths(TranscriptBatch.pack(graphs, CPU), logits)


@given(seed=st.integers(0, 1000), lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4))
@settings(max_examples=40, deadline=None)
def test_totals_and_occupancies_are_sums_over_all_paths(seed, lengths):
    graphs = [some_graph(seed + n, frames) for n, frames in enumerate(lengths)]
    logits = random_logits(sum(lengths), seed).requires_grad_()
    totals = torch.stack(
        [enumerated(g, z) for g, z in zip(graphs, logits.split(lengths), strict=True)]
    )
    (gradient,) = torch.autograd.grad(totals.sum(), logits)
    found = paths_of(graphs, logits.detach())
    torch.testing.assert_close(found.totals, totals.detach(), **EXACT)
    torch.testing.assert_close(found.occupancies, gradient, **EXACT)


def test_larger_graphs_side_by_side_are_those_of_autograd():
    lengths = [30, 7, 30, 55, 12]
    graphs = [some_graph(n, frames, states=20) for n, frames in enumerate(lengths)]
    logits = random_logits(sum(lengths), 1).requires_grad_()
    totals = torch.stack([summed(g, z) for g, z in zip(graphs, logits.split(lengths), strict=True)])
    (gradient,) = torch.autograd.grad(totals.sum(), logits)
    found = paths_of(graphs, logits.detach())
    torch.testing.assert_close(found.totals, totals.detach(), **EXACT)
    torch.testing.assert_close(found.occupancies, gradient, **EXACT)
    ones = torch.ones(len(logits), dtype=torch.float64)
    torch.testing.assert_close(found.occupancies.sum(1), ones, **EXACT)


@pytest.mark.parametrize("size", [1e3, 1e30])
def test_no_output_makes_a_sum_nan(size):
    graphs = [some_graph(n, frames, states=20) for n, frames in enumerate((40, 25))]
    found = paths_of(graphs, random_logits(65, 2, size).float())
    assert found.totals.isfinite().all()
    assert found.occupancies.isfinite().all()
    assert found.occupancies.max() <= len(graphs[0].states)


def test_a_path_in_haste_is_not_lost_below_those_that_wait():
    """The outputs ask for the first state, but the last one must be reached."""
    states, frames = 30, 60
    arcs = np.array([(n, n + 1, 0.5) for n in range(states - 1)], ARC)
    made = np.zeros(states, STATE)
    made["first"], made["rest"], made["stay"] = 1, 1, 0.5
    made["first"][1] = made["rest"][1] = 0
    made["stay"][0], made["final"][-1] = 0, 1
    logits = torch.zeros(frames, PDFS)
    logits[:, 0] = 50
    found = paths_of([TranscriptGraph("u", arcs, made, frames)], logits)
    expected = torch.zeros(frames)
    expected[: frames - states + 2] = 1
    torch.testing.assert_close(found.occupancies[:, 0], expected)


def probable(graph: TranscriptGraph, share: float) -> TranscriptGraph:
    """The graph with probabilities that add up to 1, but for a share at the start."""
    arcs, states = graph.arcs.copy(), graph.states.copy()
    total = np.bincount(arcs["source"], arcs["weight"], len(states)) + states["stay"]
    total[total == 0] = 1.0
    total[0] /= share
    arcs["weight"] /= total[arcs["source"]]
    states["stay"] /= total
    return TranscriptGraph(graph.utterance, arcs, states, graph.num_frames)


def covering(graphs: list[TranscriptGraph]) -> DenominatorGraph:
    """A denominator with the paths of all graphs."""
    rows, place = [], 1
    for graph in graphs:
        numbers = [0, *range(place, place + len(graph.states) - 1)]
        place += len(graph.states) - 1
        for source, target, weight in graph.arcs.tolist():
            pdf = int(graph.states["first"][target])
            rows.append((numbers[source], numbers[target], pdf, 1, weight))
        for number, state in zip(numbers, graph.states, strict=True):
            if state["stay"]:
                rows.append((number, number, int(state["rest"]), 0, float(state["stay"])))
    initial = np.zeros(place)
    initial[0] = 1.0
    return DenominatorGraph(np.array(rows, DENOMINATOR_ARC), initial, PDFS)


@pytest.fixture
def criterion_of(tmp_path):
    """Makes a criterion over a graph."""

    def make(graph: DenominatorGraph, **options) -> LatticeFreeMMI:
        graph.save(tmp_path)
        return LatticeFreeMMI(tmp_path, leak=0.1, **options)

    return make


def test_loss_and_gradient_are_those_of_both_graphs(criterion_of):
    lengths, decay = [6, 9], 0.2
    graphs = [probable(some_graph(n, frames), 1 / 2) for n, frames in enumerate(lengths)]
    everything = covering(graphs)
    criterion = criterion_of(everything, output_decay=decay)
    logits = random_logits(15, 4)
    targets = TranscriptTargets(TranscriptBatch.pack(graphs, CPU))
    loss, gradient = criterion.loss_and_gradient(logits, targets)
    ((_, denominator),) = criterion.denominator(logits, targets)
    numerators = paths_of(graphs, logits)
    totals = denominator.totals - numerators.totals
    assert (totals > 0).all()
    torch.testing.assert_close(
        loss.total, totals.sum() + 0.5 * decay * logits.square().sum(), **EXACT
    )
    expected = denominator.occupancies - numerators.occupancies + decay * logits
    torch.testing.assert_close(gradient, expected, **EXACT)
    shares = [part.sum() for part in loss.per_frame.split(lengths)]
    torch.testing.assert_close(sum(shares), loss.total, **EXACT)
    wrong = logits.argmax(1) != numerators.occupancies.argmax(1)
    assert int(loss.errors) == int(wrong.sum())


def test_the_curvature_knows_nothing_of_the_transcripts(criterion_of):
    graphs, others = ([probable(some_graph(seed, 6), 1.0)] for seed in (1, 2))
    criterion, logits = criterion_of(covering(graphs)), random_logits(6)
    direction = random_logits(6, 1)
    products = [
        criterion.curvature(logits, TranscriptTargets(TranscriptBatch.pack(g, CPU)))(direction)
        for g in (graphs, others)
    ]
    torch.testing.assert_close(*products, **EXACT)
