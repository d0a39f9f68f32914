"""Telephone codecs, which encode and decode speech."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from asr_hf.data.augment.draws import check_probability
from asr_hf.runtime.errors import InputError

# libsndfile's names: ITU-T G.711 mu-law, and GSM 06.10 full rate at 13 kbit/s.
CODECS = {"mulaw": "ULAW", "gsm": "GSM610"}


@dataclass(frozen=True)
class CodecSettings:
    """The distribution that codecs are drawn from.

    Args:
        probabilities: probability of each codec; the rest to 1 is the probability of none.

    Raises:
        InputError: there is no such codec, or the sum is beyond 1.
    """

    probabilities: Mapping[str, float]

    def __post_init__(self) -> None:
        if unknown := sorted(self.probabilities.keys() - CODECS.keys()):
            raise InputError(
                f"corpus.augmentation.codec.probabilities: there is no codec {unknown[0]!r}",
                expected=f"some of {', '.join(CODECS)}",
            )
        for name, probability in self.probabilities.items():
            check_probability(f"codec.probabilities.{name}", probability)
        check_probability("codec.probabilities (their sum)", sum(self.probabilities.values()))

    def draw(self, random: np.random.Generator) -> str | None:
        """Draw a codec and return its name; None for none."""
        place = random.random()
        for name, probability in sorted(self.probabilities.items()):
            place -= probability
            if place < 0:
                return name
        return None


def through_codec(samples: NDArray[np.int16], name: str, sample_rate: int) -> NDArray[np.int16]:
    """Encode and decode samples, without delay.

    GSM works in blocks of 160 samples; the samples that fill up the last block are cut off again.

    Args:
        samples: samples [N].
        name: name of the codec, mulaw or gsm.
        sample_rate: sample rate (Hz).

    Returns:
        The decoded samples [N].
    """
    subtype, coded = CODECS[name], BytesIO()
    soundfile.write(coded, samples, sample_rate, subtype, format="RAW")
    coded.seek(0)
    decoded, _ = soundfile.read(
        coded, dtype="int16", samplerate=sample_rate, channels=1, format="RAW", subtype=subtype
    )
    heard: NDArray[np.int16] = decoded[: len(samples)]
    return heard
