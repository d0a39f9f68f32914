"""Drawn paths have the probabilities of paths."""

from __future__ import annotations

import torch

from asr_hf.criteria.path_draws import draw_paths

from .test_lattice_free import CPU, PDFS, paths_of, random_logits, some_graph


def test_gradients_of_drawn_paths_have_the_whole_fisher_matrix():
    """Of whole utterances, frames against frames."""
    graph, lengths, copies = some_graph(4, states=4, arcs=10), [2, 3], 20000
    frames = sum(lengths)
    logits = random_logits(frames, 1)
    many = paths_of(graph, logits.repeat(copies, 1), lengths * copies)
    generator = torch.Generator().manual_seed(0)
    uniforms = torch.rand(frames * copies, generator=generator, dtype=torch.float64)
    drawn = draw_paths(many, uniforms)
    g = (many.occupancies - torch.nn.functional.one_hot(drawn, PDFS)).view(copies, -1)
    total = g.T @ g / copies
    paths = paths_of(graph, logits, lengths)
    identity = torch.eye(frames * PDFS, dtype=torch.float64).view(-1, frames, PDFS)
    fisher = torch.stack([paths.tangent(row).reshape(-1) for row in identity])
    assert (total - fisher).abs().max() < 0.02


def test_a_path_follows_from_its_numbers_alone():
    """The same with another utterance beside it, and in another order."""
    graph = some_graph(4, states=4, arcs=10)
    first, second = random_logits(4, 2), random_logits(6, 3)
    uniforms = torch.rand(10, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    alone = draw_paths(paths_of(graph, first, [4]), uniforms[:4])
    beside = draw_paths(paths_of(graph, torch.cat([first, second]), [4, 6]), uniforms)
    assert beside[:4].tolist() == alone.tolist()
    turned = draw_paths(paths_of(graph, torch.cat([second, first]), [6, 4]), uniforms.roll(6))
    assert turned.tolist() == beside.roll(6).tolist()
    assert turned.device == CPU
