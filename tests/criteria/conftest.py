"""Small lattices, and every sum over them by going through all paths."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from asr_hf.criteria.lattice_batch import LatticeBatch
from asr_hf.criteria.sequence import SequenceTargets
from asr_hf.data.lattice import ARC, FINAL, Lattice

PDFS, LABELS = 5, 8
# Transition ids 1..8 by pdf and phone; phones 1 and 4 are silence.
PDF_OF = np.array([0, 0, 1, 2, 3, 4, 0, 2, 3], np.int32)
PHONE_OF = np.array([0, 1, 2, 2, 3, 4, 1, 2, 3], np.int32)
PHONE_OF_PDF = np.array([1, 2, 2, 3, 4])
SILENCE = [1, 4]


def draw_lattice(rng: np.random.Generator, frames: int) -> Lattice:
    """A random lattice in which every state lies on a path, some arcs taking no frame."""
    frame_of, arcs, before = [0], [], [0]
    if rng.random() < 0.3:
        frame_of.append(0)
        arcs.append((0, 1, 0))
        before = [0, 1] if rng.random() < 0.5 else [1]
        if 0 in before:
            before = [0, 1]
    for frame in range(1, frames + 1):
        here = list(range(len(frame_of), len(frame_of) + int(rng.integers(1, 4))))
        frame_of += [frame] * len(here)
        for state in here:
            arcs.append((int(rng.choice(before)), state, int(rng.integers(1, LABELS + 1))))
        for source in before:
            for _ in range(int(rng.integers(0, 2)) or not any(a[0] == source for a in arcs)):
                arcs.append((source, int(rng.choice(here)), int(rng.integers(1, LABELS + 1))))
        for first, second in pairwise(here):
            if rng.random() < 0.4:
                arcs.append((first, second, 0))
        before = here
    arcs.sort(key=lambda arc: arc[0])
    scores = rng.normal(size=len(arcs))
    rows = [(i, j, label, 0, score, 0.0) for (i, j, label), score in zip(arcs, scores, strict=True)]
    leaves = {source for source, _, _ in arcs}
    finals = [s for s in before if s not in leaves or rng.random() < 0.6]
    ends = [(s, rng.normal()) for s in finals]
    lattice = Lattice(
        "utt", np.array(rows, ARC), np.array(frame_of, np.int32), np.array(ends, FINAL)
    )
    lattice.check(LABELS)
    return lattice


@dataclass(frozen=True)
class Path:
    """One path: its arcs in order, and its last state's graph score."""

    arcs: tuple[int, ...]
    final: float


def all_paths(lattice: Lattice) -> Iterator[Path]:
    """Every path from the start to a final state."""
    finals = {int(f["state"]): float(f["graph"]) for f in lattice.finals}
    stack: list[tuple[int, tuple[int, ...]]] = [(0, ())]
    while stack:
        state, so_far = stack.pop()
        if state in finals:
            yield Path(so_far, finals[state])
        for number in np.flatnonzero(lattice.arcs["source"] == state):
            stack.append((int(lattice.arcs["target"][number]), (*so_far, int(number))))


def packed_lattices(lattices: list[Lattice]) -> LatticeBatch:
    """Lattices as the criteria take them."""
    return LatticeBatch.pack(lattices, PDF_OF, PHONE_OF, torch.device("cpu"))


@dataclass(frozen=True)
class Case:
    """Lattices of some utterances with logits, references and priors to score them by."""

    lattices: list[Lattice]
    logits: Tensor
    labels: Tensor
    log_priors: Tensor

    @property
    def targets(self) -> SequenceTargets:
        """As the criteria take them."""
        packed = packed_lattices(self.lattices)
        phones = torch.from_numpy(PHONE_OF_PDF)[self.labels]
        return SequenceTargets(self.labels, packed, self.log_priors, phones, SILENCE)

    def starts(self) -> list[int]:
        """First frame of each utterance in the batch."""
        lengths = [lattice.num_frames for lattice in self.lattices]
        return [sum(lengths[:u]) for u in range(len(lengths))]

    def path_sums(
        self,
        logits: Tensor,
        kappa: float,
        nu: float,
        of_arc: Callable[[int, int], float],
        extra: Callable[[int, int], float] = lambda frame, label: 0.0,
    ) -> tuple[Tensor, Tensor]:
        """log Z [U] and the expected sum of `of_arc(frame, transition id)` over paths [U].

        `extra` is added to the score of each arc that takes a frame.
        """
        totals, means = [], []
        for lattice, start in zip(self.lattices, self.starts(), strict=True):
            scores, counts = [], []
            for path in all_paths(lattice):
                score: Tensor | float = nu * path.final
                count, frame = 0.0, start
                for number in path.arcs:
                    arc = lattice.arcs[number]
                    score = score + nu * float(arc["graph"])
                    label = int(arc["label"])
                    if label:
                        pdf = int(PDF_OF[label])
                        score = score + kappa * (logits[frame, pdf] - self.log_priors[pdf])
                        score = score + extra(frame, label)
                        count += of_arc(frame, label)
                        frame += 1
                assert frame == start + lattice.num_frames
                scores.append(torch.as_tensor(score, dtype=torch.float64))
                counts.append(count)
            stacked = torch.stack(scores)
            totals.append(stacked.logsumexp(0))
            weights = stacked.softmax(0)
            means.append((weights * torch.tensor(counts, dtype=torch.float64)).sum())
        return torch.stack(totals), torch.stack(means)


@pytest.fixture
def draw_case() -> Callable[[np.random.Generator, int], Lattice]:
    return draw_lattice


@pytest.fixture
def pack() -> Callable[[list[Lattice]], LatticeBatch]:
    return packed_lattices


@pytest.fixture
def make_case() -> Callable[..., Case]:
    def make(seed: int, utterances: int = 3, max_frames: int = 5, spread: float = 2.0) -> Case:
        rng = np.random.default_rng(seed)
        lattices = [
            draw_lattice(rng, int(rng.integers(1, max_frames + 1))) for _ in range(utterances)
        ]
        frames = sum(lattice.num_frames for lattice in lattices)
        return Case(
            lattices,
            torch.from_numpy(rng.normal(size=(frames, PDFS)) * spread),
            torch.from_numpy(rng.integers(0, PDFS, size=frames)),
            torch.from_numpy(np.log(rng.dirichlet(np.ones(PDFS) * 3))),
        )

    return make


@pytest.fixture
def long_lattice() -> Lattice:
    """Two states a frame over 5000 frames."""
    frames, rng = 5000, np.random.default_rng(0)
    frame_of = np.concatenate([[0], np.repeat(np.arange(1, frames + 1), 2)]).astype(np.int32)
    rows = [(0, 1, 1, 0, -1.0, 0.0), (0, 2, 2, 0, -1.5, 0.0)]
    for frame in range(1, frames):
        here = 2 * frame - 1
        for source in (here, here + 1):
            for target in (here + 2, here + 3):
                label = int(rng.integers(1, LABELS + 1))
                rows.append((source, target, label, 0, float(-3 * rng.random()), 0.0))
    ends = [(2 * frames - 1, -math.log(2)), (2 * frames, -1.0)]
    return Lattice("long", np.array(rows, ARC), frame_of, np.array(ends, FINAL))
