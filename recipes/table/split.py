"""Chooses the recordings to hold out where the table names no sets."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence

# Number of speakers from which on held-out sets have speakers of their own.
MANY_SPEAKERS = 10


def split_by(
    keys: Mapping[str, str], seconds: Mapping[str, float], names: Sequence[str], share: float
) -> dict[str, str]:
    """Hold out about a share of the audio for each of the sets `names`.

    Utterances with the same key (speaker or sentence) stay together. Keys are taken in the order of
    their hashes, so that the split stays much the same when recordings are added.

    Args:
        keys: key by utterance.
        seconds: length by utterance.
        names: names of the held-out sets.
        share: share of the audio for each of them.

    Returns:
        The set of each utterance, `train` for those that are not held out.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for utterance, key in keys.items():
        groups[key].append(utterance)
    order = sorted(groups, key=_hash)
    target = share * sum(seconds.values())
    set_of = dict.fromkeys(keys, "train")
    for name in names:
        held = 0.0
        while order and held < target:
            size = sum(seconds[u] for u in groups[order[0]])
            # A large group, as of a talkative speaker, must not be most of the recordings.
            if held and held + size > 2 * target:
                break
            for utterance in groups[order.pop(0)]:
                set_of[utterance] = name
            held += size
    return set_of


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
