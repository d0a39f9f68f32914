"""Kaldi's own decoders, which ours are held against.

They keep no references to what they are built on, so that everything is held here.
"""

from __future__ import annotations

import math

import kaldi_decoder
import numpy as np

from asr_hf.hmm.graph import fst as fsts
from asr_hf.hmm.kaldi import kaldifst
from asr_hf.hmm.search.search import BestPath


def columns(transitions, scores, scale):
    return np.ascontiguousarray((scale * scores).astype(np.float32)[:, transitions.pdf_of[1:]])


def best_path(transitions, graph, scores, scale=1.0, beam=1e4):
    """The path of Kaldi's FasterDecoder; the best partial one where none reaches the end."""
    options = kaldi_decoder.FasterDecoderOptions(beam=beam, max_active=10**6)
    decoder = kaldi_decoder.FasterDecoder(graph, options)
    decodable = kaldi_decoder.DecodableCtc(columns(transitions, scores, scale))
    decoder.decode(decodable)
    complete, lattice = decoder.get_best_path(use_final_probs=True)
    assert complete
    _, transition_ids, words, weight = kaldifst.get_linear_symbol_sequence(lattice)
    score = -(weight.value1 + weight.value2)
    return BestPath(np.asarray(transition_ids, np.int32), list(words), score)


def lattice_arcs(transitions, graph, scores, scale, beam, lattice_beam):
    """Label, word and graph cost of every arc of LatticeSimpleDecoder's lattice, sorted."""
    options = kaldi_decoder.LatticeSimpleDecoderConfig(beam=beam, lattice_beam=lattice_beam)
    decoder = kaldi_decoder.LatticeSimpleDecoder(graph, options)
    decodable = kaldi_decoder.DecodableCtc(columns(transitions, scores, scale))
    assert decoder.decode(decodable) and math.isfinite(decoder.final_relative_cost())
    _, lattice = decoder.get_raw_lattice(use_final_probs=True)
    rows = []
    # The library hands out the arcs as text of six digits.
    for line in lattice.to_str(show_weight_one=True).splitlines():
        fields = line.split()
        if len(fields) == 5:
            rows.append((int(fields[2]), int(fields[3]), float(fields[4].split(",")[0])))
    return sorted(rows)


def with_word_penalty(graph, penalty, words):
    """A graph in which each word, with ids 1 to `words`, costs `penalty` more."""
    price = math.exp(-penalty)
    penalties = fsts.build([(0, 0, w, w, price) for w in range(1, words + 1)], [0], 1)
    return fsts.compose(graph.copy(), penalties)
