"""Cuts the training data: held-out sets, and caps on transcripts that recur."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from asr_hf.data.kaldi_dir import Utterance

# Constants of the generator that Kaldi's recipe draws with, so that the same utterances stay.
_STEP, _MODULUS = 103_349, 71_147
# Largest shares that are held out of a corpus smaller than Switchboard.
_DEV_SHARE, _LM_SHARE = 0.1, 0.2


def held_out_sizes(total: int, dev: int, lm: int) -> tuple[int, int]:
    """Choose the number of first utterances for the dev set, and for testing language models.

    Args:
        total: number of utterances in all.
        dev: number of utterances of the dev set; at most a tenth of all is taken.
        lm: number of utterances for testing language models, the dev set among them; at most a
            fifth of all is taken.

    Returns:
        The number of utterances of the dev set, and of all that no language model is made from.
    """
    dev_size = min(dev, int(_DEV_SHARE * total))
    return dev_size, max(dev_size, min(lm, int(_LM_SHARE * total)))


def cap_copies(utterances: Sequence[Utterance], limit: int) -> list[Utterance]:
    """Thin out transcripts that recur ("yeah", "uh-huh").

    Where a transcript has n >= limit utterances, each stays with probability limit / n. It is drawn
    by x <- (x + 103349) mod 71147 from x = 0, one step for each such utterance.

    Args:
        utterances: the utterances in order.
        limit: approximate number of utterances of one transcript that stay.

    Returns:
        The utterances that stay, in order.
    """
    copies = Counter(utterance.text for utterance in utterances)
    state, remaining = 0, []
    for utterance in utterances:
        count = copies[utterance.text]
        if count >= limit:
            state = (state + _STEP) % _MODULUS
            if state / _MODULUS >= limit / count:
                continue
        remaining.append(utterance)
    return remaining
