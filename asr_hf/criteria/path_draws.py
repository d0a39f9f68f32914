"""Draws paths of a denominator graph: forwards the sums, backwards the draws."""

from __future__ import annotations

import torch
from torch import Tensor

from asr_hf.criteria.denominator_paths import DenominatorPaths
from asr_hf.criteria.denominator_recursion import DenominatorRecursion
from asr_hf.criteria.sample_classes import sample_classes


@torch.no_grad()
def draw_paths(paths: DenominatorPaths, uniforms: Tensor) -> Tensor:
    """Draw a path of each utterance from the distribution over all of them.

    From the last frame back, an entry is drawn in proportion to its probability given the frames
    so far, times the weight with which the entry drawn after it follows, by an arc or by a leap.

    Args:
        paths: distribution over the paths.
        uniforms: number in [0, 1) of each frame [F], which fixes its draw.

    Returns:
        The pdf that the path takes at each frame [F].
    """
    graph = paths.graph
    leaps = paths.leak * graph.entered(graph.initial).squeeze(1)
    pdfs = torch.empty(len(uniforms), dtype=graph.pdf.dtype, device=uniforms.device)
    drawn = graph.pdf.new_empty(0)
    for frame in paths.backwards():
        likely = frame.entered.clone()
        follows = _sources_of(graph, drawn)
        for part, value in zip(graph.parts(likely), graph.at_entries(follows), strict=True):
            part[:, : len(drawn)].mul_(value + leaps[drawn])
        drawn = sample_classes(likely.T.contiguous(), uniforms[frame.rows]).squeeze(1)
        pdfs[frame.rows] = graph.pdf[drawn]
    return pdfs


def _sources_of(graph: DenominatorRecursion, entries: Tensor) -> Tensor:
    """Return the weights with which some entries follow each state [S, entries]."""
    states = len(graph.stay)
    moves = len(graph.pdf) - states
    loops = torch.nonzero(entries >= moves).squeeze(1)
    sources = _rows_of(graph.enter, entries.clamp_max(moves - 1))
    sources[:, loops] = 0
    state = entries[loops] - moves
    sources[state, loops] = graph.stay[state, 0]
    return sources


def _rows_of(matrix: Tensor, numbers: Tensor) -> Tensor:
    """Return some rows of a sparse matrix [M, S] as the columns of a dense one [S, rows]."""
    starts = matrix.crow_indices()
    counts = starts[numbers + 1] - starts[numbers]
    column = torch.repeat_interleave(torch.arange(len(numbers), device=numbers.device), counts)
    before = torch.cumsum(counts, 0) - counts
    places = torch.arange(len(column), device=numbers.device) - before[column]
    places += starts[numbers][column]
    values = matrix.values()
    rows = values.new_zeros(matrix.shape[1], len(numbers))
    rows[matrix.col_indices()[places], column] = values[places]
    return rows
