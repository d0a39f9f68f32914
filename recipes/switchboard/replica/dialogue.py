"""Makes conversations on two channels from prompts that one voice reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE = 8000
# Seconds between two turns; probability and length (seconds) of two callers speaking at once.
_PAUSE = (0.25, 1.0)
_OVERLAP_CHANCE, _OVERLAP = 0.2, 0.4
# Number of turns of a conversation.
_TURNS = 16
# A telephone line is never quite silent.
_HUM = 4.0


@dataclass(frozen=True)
class Prompt:
    """A recording and its words.

    Args:
        samples: samples [frames] at 8 kHz.
        words: words in lower case.
    """

    samples: NDArray[np.int16]
    words: tuple[str, ...]


@dataclass(frozen=True)
class SpokenTurn:
    """One turn of a caller.

    Args:
        side: 0 or 1.
        start: first sample.
        end: sample after the last.
        prompt: the prompt that is heard.
    """

    side: int
    start: int
    end: int
    prompt: Prompt


@dataclass(frozen=True)
class Conversation:
    """A telephone call.

    Args:
        samples: samples [frames, 2].
        turns: turns in the order of their starts.
    """

    samples: NDArray[np.int16]
    turns: list[SpokenTurn]

    def of_side(self, side: int) -> list[SpokenTurn]:
        """List the turns of one caller."""
        return [turn for turn in self.turns if turn.side == side]


def conversations(prompts: Sequence[Prompt], random: np.random.Generator) -> Iterator[Conversation]:
    """Deal prompts, shuffled, into conversations of about 16 turns, each prompt once."""
    order = random.permutation(len(prompts))
    for part in np.array_split(order, max(1, round(len(prompts) / _TURNS))):
        yield _conversation([prompts[i] for i in part], random)


def _conversation(prompts: Sequence[Prompt], random: np.random.Generator) -> Conversation:
    """Let callers speak in turns, now and then twice in a row or both at once."""
    turns: list[SpokenTurn] = []
    free = [0, 0]
    at = side = 0
    for prompt in prompts:
        other = int(random.random() < 0.7) ^ side
        overlap = other != side and turns and random.random() < _OVERLAP_CHANCE
        side = other
        wait = -_OVERLAP if overlap else random.uniform(*_PAUSE)
        start = max(at + int(wait * RATE), free[side] + int(_PAUSE[0] * RATE))
        end = start + len(prompt.samples)
        turns.append(SpokenTurn(side, start, end, prompt))
        at, free[side] = end, end
    samples = random.normal(scale=_HUM, size=(max(free) + RATE // 2, 2))
    for turn in turns:
        samples[turn.start : turn.end, turn.side] += turn.prompt.samples
    clipped = np.clip(np.rint(samples), -32768, 32767).astype(np.int16)
    return Conversation(clipped, sorted(turns, key=lambda turn: turn.start))


def noise(random: np.random.Generator, kind: str) -> Prompt:
    """Make a sound other than speech: `[noise]` crackles, `[laughter]` and others swell."""
    seconds = random.uniform(0.3, 0.8)
    time = np.arange(int(seconds * RATE)) / RATE
    hiss = random.normal(size=len(time))
    if kind == "[noise]":
        shape = (random.random(len(time)) < 0.02) * 3.0 + 0.1
    elif kind == "[laughter]":
        shape = np.maximum(0.0, np.sin(2 * np.pi * 5 * time)) * (1 + np.sin(2 * np.pi * 300 * time))
    else:
        shape = np.sin(np.pi * time / seconds) ** 2
        hiss = np.convolve(hiss, np.ones(8) / 8, mode="same")
    return Prompt(np.clip(1500 * shape * hiss, -32768, 32767).astype(np.int16), (kind,))
