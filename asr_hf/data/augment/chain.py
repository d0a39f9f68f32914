"""All effects of augmentation, in the order in which they happen from speaker to recogniser."""

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
    """The effects on one copy of an utterance, in their order; None leaves an effect out.

    Args:
        speed: factor of the speed.
        babble: other speech behind the utterance.
        noise: noise behind the utterance.
        band: lower and upper edge of the band (Hz).
        gain_db: change of the level (dB).
        codec: name of the codec, mulaw or gsm.
    """

    speed: float
    babble: Babble | None
    noise: Noise | None
    band: tuple[int, int] | None
    gain_db: float
    codec: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the effects as JSON-able values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Effects:
        """Return the effects that `to_dict` has made into `row`, which may come from JSON."""
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
    """The distributions that all effects are drawn from.

    Args:
        speed: settings of the speed.
        babble: settings of the babble.
        noise: settings of the noise.
        band: settings of the band.
        level: settings of the level.
        codec: settings of the codec.
    """

    speed: SpeedSettings
    babble: BabbleSettings
    noise: NoiseSettings
    band: BandSettings
    level: LevelSettings
    codec: CodecSettings

    @classmethod
    def from_config(cls, node: Mapping[str, Any]) -> EffectSettings:
        """Make the settings from plain lists and dictionaries.

        Args:
            node: settings of each effect, by its name.

        Returns:
            The settings.

        Raises:
            InputError: an effect or a setting is missing, unknown or out of its range.
        """
        parts: dict[str, Any] = {}
        if node.keys() != _PARTS.keys():
            raise InputError(
                f"corpus.augmentation.effects: {', '.join(node)}", expected=", ".join(_PARTS)
            )
        for name, settings_class in _PARTS.items():
            values = {k: tuple(v) if isinstance(v, list) else v for k, v in node[name].items()}
            try:
                parts[name] = settings_class(**values)
            except TypeError as error:
                raise InputError(
                    f"corpus.augmentation.{name}: {', '.join(values)}",
                    expected=", ".join(settings_class.__dataclass_fields__),
                    remedy="conf/corpus/prompts5x.yaml shows them all",
                ) from error
        return cls(**parts)


def draw(settings: EffectSettings, seed: int, utterance: str, copy: int, others: Ring) -> Effects:
    """Draw the effects of a copy, which depend only on seed, utterance and number of the copy.

    Each effect has random numbers of its own, so that another setting of one effect does not change
    the others.

    Args:
        settings: distributions of the effects.
        seed: seed of all draws.
        utterance: name of the clean utterance.
        copy: number of the copy.
        others: utterances of the same set, for babble.

    Returns:
        The effects.
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

    The ratio of a background counts against the speech alone, before band, level and codec.

    Args:
        samples: samples of the utterance [N], in the range of 16-bit integers.
        effects: effects of the copy.
        sample_rate: sample rate (Hz).
        load: returns the samples of a babble's talker, given its utterance's name.

    Returns:
        Samples of the copy [ceil(N / speed)].

    Raises:
        InputError: the speech or a background is digital silence.
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
