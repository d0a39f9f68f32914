"""HMM topologies in Kaldi's text form."""

from __future__ import annotations

from collections.abc import Sequence

from asr_hf.hmm.graph.lexicon import SILENCE_PHONES, SymbolTable

PHONE_STATES = 3
SILENCE_STATES = 5
SELF_LOOP = 0.75
# A phone takes a frame a state, so that every third frame still meets each phone.
SUBSAMPLINGS = tuple(range(1, PHONE_STATES + 1))


def topology_text(phones: SymbolTable) -> str:
    """Write the topology of every phone: three states from left to right, five for noises.

    Noises are silence and the other phones that are no speech. The inner states of their model are
    fully connected, so that it fits pauses of many lengths and kinds; its first state leads in and
    its last leads out (the Kaldi recipes' shape).

    Returns:
        The topology in Kaldi's text form.
    """
    noises = [phones.id(name) for name in SILENCE_PHONES if name in phones]
    speech = [i for i in range(1, len(phones)) if i not in noises]
    entries = [_entry(noises, _silence_states())]
    if speech:
        entries.append(_entry(speech, _left_to_right(PHONE_STATES)))
    return "<Topology>\n" + "".join(entries) + "</Topology>\n"


def sampled_topology_text(phones: SymbolTable, states: Sequence[dict[int, float]]) -> str:
    """Write the topology of phones that are seen at every k-th frame only.

    Args:
        phones: the phones, noises among them.
        states: the probability of each next state, for each state of a phone.

    Returns:
        The topology in Kaldi's text form.
    """
    entry = _entry(range(1, len(phones)), states)
    return f"<Topology>\n{entry}</Topology>\n"


def _entry(phones: Sequence[int], states: Sequence[dict[int, float]]) -> str:
    lines = ["<TopologyEntry>", "<ForPhones>", " ".join(map(str, phones)), "</ForPhones>"]
    for state, transitions in enumerate(states):
        arcs = " ".join(f"<Transition> {to} {p:g}" for to, p in transitions.items())
        lines.append(f"<State> {state} <PdfClass> {state} {arcs} </State>")
    lines += [f"<State> {len(states)} </State>", "</TopologyEntry>"]
    return "\n".join(lines) + "\n"


def _left_to_right(states: int) -> list[dict[int, float]]:
    return [{s: SELF_LOOP, s + 1: 1 - SELF_LOOP} for s in range(states)]


def _silence_states() -> list[dict[int, float]]:
    last = SILENCE_STATES - 1
    first = dict.fromkeys(range(last), 1 / last)
    inner = [dict.fromkeys(range(1, last + 1), 1 / last) for _ in range(1, last)]
    return [first, *inner, {last: SELF_LOOP, last + 1: 1 - SELF_LOOP}]
