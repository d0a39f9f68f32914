"""All effects, in the order in which they happen between a speaker and a recogniser."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.augment.babble import Babble, BabbleSettings, babble
from asr_hf.data.augment.band import BandSettings, limit_band
from asr_hf.data.augment.codec import CodecSettings, through_codec
from asr_hf.data.augment.draws import Ring, generator
from asr_hf.data.augment.level import LevelSettings, set_level
from asr_hf.data.augment.mixing import at_snr
from asr_hf.data.augment.noise import Noise, NoiseSettings, noise
from asr_hf.data.augment.speed import SpeedSettings, change_speed
from asr_hf.runtime.errors import InputError

_PARTS: dict[str, Any] = {
    "speed": SpeedSettings,
    "babble": BabbleSettings,
    "noise": NoiseSettings,
    "band": BandSettings,
    "level": LevelSettings,
    "codec": CodecSettings,
}


@dataclass(frozen=True)
class Effects:
    """What is done to one copy of an utterance, in this order; None leaves an effect out.

    Args:
        speed: factor.
        babble: other speech behind it.
        noise: noise behind it.
        band: lower and upper edge (Hz).
        gain_db: level.
        codec: mulaw or gsm.
    """

    speed: float
    babble: Babble | None
    noise: Noise | None
    band: tuple[int, int] | None
    gain_db: float
    codec: str | None

    def to_dict(self) -> dict[str, Any]:
        """As a line of a table holds it."""
        return asdict(self)

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Effects:
        """Back from `to_dict`, or from what JSON makes of it."""
        spoken, hiss, band = row["babble"], row["noise"], row["band"]
        if spoken is not None:
            spoken = Babble(tuple(spoken["talkers"]), tuple(spoken["starts"]), spoken["snr_db"])
        return cls(
            row["speed"],
            spoken,
            None if hiss is None else Noise(**hiss),
            None if band is None else (band[0], band[1]),
            row["gain_db"],
            row["codec"],
        )


@dataclass(frozen=True)
class EffectSettings:
    """What may be done to a copy, and how likely; see each part."""

    speed: SpeedSettings
    babble: BabbleSettings
    noise: NoiseSettings
    band: BandSettings
    level: LevelSettings
    codec: CodecSettings

    @classmethod
    def from_config(cls, node: Mapping[str, Any]) -> EffectSettings:
        """From plain lists and dictionaries.

        Raises:
            InputError: a part or setting is missing, unknown or cannot be.
        """
        parts: dict[str, Any] = {}
        if node.keys() != _PARTS.keys():
            raise InputError(
                f"corpus.augmentation.effects: {', '.join(node)}", expected=", ".join(_PARTS)
            )
        for name, kind in _PARTS.items():
            given = {k: tuple(v) if isinstance(v, list) else v for k, v in node[name].items()}
            try:
                parts[name] = kind(**given)
            except TypeError as error:
                raise InputError(
                    f"corpus.augmentation.{name}: {', '.join(given)}",
                    expected=", ".join(kind.__dataclass_fields__),
                    remedy="conf/corpus/prompts5x.yaml shows them all",
                ) from error
        return cls(**parts)


def draw(settings: EffectSettings, seed: int, utterance: str, copy: int, others: Ring) -> Effects:
    """Draw what is done to a copy: fixed by seed, utterance and number of the copy alone.

    Each effect has random numbers of its own, so that another setting of one leaves the others
    as they are.

    Args:
        settings: chances.
        seed: of all draws.
        utterance: the clean one.
        copy: its number.
        others: utterances of the same set, for babble.
    """

    def random(effect: str) -> np.random.Generator:
        return generator(seed, utterance, copy, effect)

    return Effects(
        settings.speed.draw(random("speed")),
        settings.babble.draw(random("babble"), others, utterance),
        settings.noise.draw(random("noise")),
        settings.band.draw(random("band")),
        settings.level.draw(random("level")),
        settings.codec.draw(random("codec")),
    )


def augment(
    samples: NDArray[np.float64],
    effects: Effects,
    sample_rate: int,
    load: Callable[[str], NDArray[np.float64]],
) -> NDArray[np.int16]:
    """Make a copy of an utterance.

    Backgrounds are at their ratios to the speech alone, before the channel.

    Args:
        samples: [N] in the range of 16-bit integers.
        effects: what is done.
        sample_rate: Hz.
        load: gives the samples of a talker of the babble, by its utterance.

    Returns:
        [ceil(N / speed)].

    Raises:
        InputError: speech or background is digital silence.
    """
    speech = change_speed(samples, effects.speed)
    heard = speech
    if (b := effects.babble) is not None:
        talking = babble([load(name) for name in b.talkers], b.starts, len(speech), sample_rate)
        heard = heard + at_snr(talking, speech, b.snr_db)
    if (n := effects.noise) is not None:
        heard = heard + at_snr(noise(n, len(speech), sample_rate), speech, n.snr_db)
    if effects.band is not None:
        heard = limit_band(heard, effects.band, sample_rate)
    levelled = set_level(heard, effects.gain_db)
    return (
        levelled if effects.codec is None else through_codec(levelled, effects.codec, sample_rate)
    )
