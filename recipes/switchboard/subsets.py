"""Parts of the training data: held-out sets and caps on what is said over and over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from asr_hf.data.kaldi_dir import Utterance

# Constants of the generator that Kaldi's recipe draws with, so that the same utterances stay.
_STEP, _MODULUS = 103_349, 71_147
# Of a corpus smaller than Switchboard, at most this much is held out.
_DEV_SHARE, _LM_SHARE = 0.1, 0.2


def held_out_sizes(total: int, dev: int, lm: int) -> tuple[int, int]:
    """How many of the first utterances are the dev set, and how many the language model never sees.

    Args:
        total: utterances in all.
        dev: wanted for the dev set; at most a tenth is taken.
        lm: wanted for testing language models, with the dev set in them; at most a fifth is taken.
    """
    dev_size = min(dev, int(_DEV_SHARE * total))
    return dev_size, max(dev_size, min(lm, int(_LM_SHARE * total)))


def cap_copies(utterances: Sequence[Utterance], limit: int) -> list[Utterance]:
    """Thin out transcripts that come again and again ("yeah", "uh-huh").

    Of a transcript with n >= limit utterances each stays with probability limit / n, drawn by
    x <- (x + 103349) mod 71147 from x = 0, one step for each such utterance.

    Args:
        utterances: in order.
        limit: about how many of one transcript stay.
    """
    copies = Counter(utterance.text for utterance in utterances)
    state, kept = 0, []
    for utterance in utterances:
        count = copies[utterance.text]
        if count >= limit:
            state = (state + _STEP) % _MODULUS
            if state / _MODULUS >= limit / count:
                continue
        kept.append(utterance)
    return kept
