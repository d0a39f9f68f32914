"""Decoding and training graphs: HMMs in the place of the phones of a transducer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from asr_hf.hmm.graph import fst as fsts
from asr_hf.hmm.graph.context import ContextHmms
from asr_hf.hmm.graph.fst import Fst
from asr_hf.hmm.graph.transitions import TransitionModel
from asr_hf.hmm.kaldi import kaldi_hmm_gmm as khg
from asr_hf.hmm.kaldi import kaldifst
from asr_hf.hmm.scores import AlignmentError


def decoding_graph(
    transitions: TransitionModel, lexicon_grammar: Fst, disambiguation: Sequence[int]
) -> Fst:
    """Make H ∘ C ∘ (L ∘ G): a graph whose inputs are transition ids and outputs are words.

    Args:
        transitions: the transition model.
        lexicon_grammar: LG, its inputs phones and the `disambiguation` symbols.
        disambiguation: ids of the disambiguation symbols.

    Returns:
        The graph, HCLG.
    """
    if transitions.tree is None:
        graph, extra = _with_monophones(transitions, lexicon_grammar, disambiguation)
    else:
        hmms = ContextHmms(transitions, transitions.tree)
        graph, extra = _with_hmms(hmms, lexicon_grammar, disambiguation, 1.0)
    fsts.optimise(graph, "decoding graph")
    graph = fsts.remove_input_symbols(graph, extra, transitions.num_transition_ids)
    kaldifst.minimize_encoded(graph)
    return _with_self_loops(transitions, graph, 1.0)


def _with_self_loops(transitions: TransitionModel, graph: Fst, scale: float) -> Fst:
    return khg.add_self_loops(
        self_loop_scale=scale,
        disambig_syms=[],
        reorder=False,
        trans_model=transitions.kaldi,
        ifst=graph,
    )


def _with_monophones(
    transitions: TransitionModel, phones: Fst, disambiguation: Sequence[int]
) -> tuple[Fst, list[int]]:
    """Make H ∘ C ∘ `phones` without self-loops, and the inputs that stand for `disambiguation`."""
    context, windows = kaldifst.compose_context(
        disambig_syms=list(disambiguation), context_width=1, central_position=0, ifst=phones
    )
    config = khg.HTransducerConfig()
    h, extra = khg.get_h_transducer(windows, transitions.monophones, transitions.kaldi, config)
    return fsts.compose(h, context), list(extra)


def _with_hmms(
    hmms: ContextHmms, phones: Fst, disambiguation: Sequence[int], scale: float
) -> tuple[Fst, list[int]]:
    """Make H ∘ C ∘ `phones` for phones in context, without self-loops.

    Args:
        hmms: HMMs of the phones in context.
        phones: a transducer from phones and the `disambiguation` symbols to words.
        disambiguation: ids of the disambiguation symbols.
        scale: factor on the log probabilities of transitions.

    Returns:
        The transducer, and the inputs that stand for `disambiguation`.
    """
    context, windows = kaldifst.compose_context(
        disambig_syms=list(disambiguation),
        context_width=hmms.tree.width,
        central_position=hmms.tree.central,
        ifst=phones,
    )
    h, extra = _h_transducer(hmms, windows, scale)
    return fsts.compose(h, context), extra


def _h_transducer(
    hmms: ContextHmms, windows: Sequence[Sequence[int]], scale: float
) -> tuple[Fst, list[int]]:
    """Make H: the HMMs of all windows side by side, each from and to one state.

    Args:
        hmms: HMMs of the phones in context.
        windows: windows of phones, by the label that stands for them. The window of a
            disambiguation symbol is a single number that is not above 0; label 0 is epsilon.
        scale: factor on the log probabilities of transitions.

    Returns:
        The transducer, and the inputs that stand for disambiguation symbols.
    """
    arcs: list[fsts.Arc] = []
    extra: list[int] = []
    states = 1
    for label, window in enumerate(windows[1:], 1):
        if len(window) == 1 and window[0] <= 0:
            extra.append(hmms.num_transition_ids + 1 + len(extra))
            arcs.append((0, 0, extra[-1], label, 1.0))
            continue
        entry, end = states, hmms.num_states(window)
        arcs.append((0, entry, 0, label, 1.0))
        for source, target, transition, log_prob in hmms.hmm(window):
            goal = 0 if target == end else entry + target
            arcs.append((entry + source, goal, transition, 0, math.exp(scale * log_prob)))
        states += end
    return fsts.build(arcs, [0], states), extra


class TrainingGraphs:
    """Compiles transcripts of one language into graphs; holds everything that the compiler uses.

    Args:
        transitions: the transition model.
        lexicon: L without disambiguation symbols.
    """

    def __init__(self, transitions: TransitionModel, lexicon: Fst) -> None:
        self._transitions = transitions
        self._lexicon = fsts.sort(lexicon, "olabel")
        self._compiler: Any = None
        if transitions.tree is not None:
            self._hmms = ContextHmms(transitions, transitions.tree)
        else:
            options = khg.TrainingGraphCompilerOptions(
                transition_scale=0.0, self_loop_scale=0.0, reorder=False
            )
            self._compiler = khg.TrainingGraphCompiler(
                transitions.kaldi, transitions.monophones, self._lexicon, [], options
            )

    def compile(self, words: Sequence[int], utterance: str) -> Fst:
        """Compile a transcript given by word ids.

        Returns:
            The graph, without transition probabilities.

        Raises:
            AlignmentError: the transcript is empty or not in the lexicon.
        """
        if not words:
            raise AlignmentError(
                f"{utterance}: empty transcript", remedy="remove the utterance or give its words"
            )
        if self._compiler is None:
            graph = self._tied(words)
        else:
            graph = self._compiler.compile_graph_from_text(list(words))
        if graph.start < 0:
            raise AlignmentError(
                f"{utterance}: no graph for its transcript",
                expected="words of the lexicon",
                remedy="check lexicon and text",
            )
        return graph

    def _tied(self, words: Sequence[int]) -> Fst:
        arcs = [(at, at + 1, word, word, 1.0) for at, word in enumerate(words)]
        spoken = fsts.build(arcs, [len(words)], len(words) + 1)
        # The lexicon is sorted once and for all.
        phones = kaldifst.compose(self._lexicon, spoken)
        if phones.start < 0:
            return phones
        graph, _ = _with_hmms(self._hmms, phones, [], 0.0)
        return _with_self_loops(self._transitions, fsts.optimise(graph, "training graph"), 0.0)
