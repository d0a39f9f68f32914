"""Perturbation of a training set: copies at other speeds, and other levels."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor

from asr_hf.data.alteration import Alteration
from asr_hf.data.augment.draws import generator, uniform
from asr_hf.data.augment.speed import change_speed
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.runtime.errors import InputError

_KEY = "features.perturb"
_DIGITS = 4
# The factor has a point: sp1- may be somebody's name for a speaker.
_COPY = re.compile(r"sp(\d+\.\d+)-(.+)", re.DOTALL)


@dataclass(frozen=True)
class Perturbation:
    """Copies of all utterances at other speeds, and a level that is drawn for each utterance.

    It does what Kaldi's perturb_data_dir_speed.sh and perturb_data_dir_volume.sh do (Ko et al.,
    Audio augmentation for speech recognition, 2015). All follows from the seed and the names of
    the utterances.

    Args:
        speeds: speed of each copy; 1.1 is faster and higher by a tenth.
        level: smallest and largest factor of the amplitude; None leaves levels as they are.
        seed: seed of the levels.

    Raises:
        InputError: a speed or the level is out of its range.
    """

    speeds: tuple[float, ...] = ()
    level: tuple[float, ...] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        counts = Counter(map(speed_name, self.speeds))
        for speed in self.speeds:
            if not 0.5 <= speed <= 2 or speed == 1 or not _is_hundredths(speed):
                raise InputError(
                    f"{_KEY}.speeds={list(self.speeds)}: {speed:g} cannot be",
                    expected="hundredths from 0.5 to 2, without 1: the recorded utterances "
                    "are trained on anyway",
                )
            if counts[speed_name(speed)] > 1:
                raise InputError(
                    f"{_KEY}.speeds={list(self.speeds)}: {speed:g} twice",
                    expected="each speed once",
                )
        level = self.level
        if level is not None and (len(level) != 2 or not 0.01 <= level[0] <= level[1] <= 100):
            raise InputError(
                f"{_KEY}.level={list(level)} cannot be",
                expected="two factors of the amplitude from 0.01 to 100, the lower one first",
            )

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as records hold them."""
        level = None if self.level is None else list(self.level)
        return {"speeds": list(self.speeds), "level": level, "seed": self.seed}

    def of(self, data: DataDir) -> DataDir:
        """Return a set with its copies; every utterance says what is done to its audio.

        Copies and their speakers are named as in Kaldi, sp0.9-<name>, so that means and variances
        of a speaker are those of one speed.

        Args:
            data: the set as it was recorded.

        Raises:
            InputError: the set has an utterance of a copy's name.
        """
        utterances = [replace(u, alteration=self._alteration(u.id, u.id)) for u in data.utterances]
        names = {u.id for u in data.utterances}
        for speed in self.speeds:
            for u in data.utterances:
                copy = f"{speed_name(speed)}{u.id}"
                if copy in names:
                    raise InputError(
                        f"{_KEY}.speeds: {data.path} has an utterance {copy} already",
                        expected="a set without copies at this speed",
                        remedy=f"leave {speed:g} out of {_KEY}.speeds",
                    )
                utterances.append(
                    replace(
                        u,
                        id=copy,
                        speaker=f"{speed_name(speed)}{u.speaker}",
                        alteration=self._alteration(copy, u.id, speed),
                    )
                )
        return replace(data, utterances=sorted(utterances, key=lambda u: u.id.encode()))

    def _alteration(self, name: str, of: str, speed: float = 1.0) -> Alteration | None:
        if self.level is None:
            return None if speed == 1 else Alteration(of, speed)
        return Alteration(of, speed, uniform(generator(self.seed, name), self.level, _DIGITS))


def speed_name(speed: float) -> str:
    """Return what names of copies at a speed begin with.

    >>> speed_name(0.9)
    'sp0.9-'
    """
    return f"sp{float(speed)}-"


def origin(name: str) -> tuple[str, float]:
    """Return the name that a copy at another speed, or its speaker, was given its name from.

    Returns:
        The name and the speed; the name as it is and 1 where it is none of a copy.

    >>> origin("sp0.9-utt1")
    ('utt1', 0.9)
    >>> origin("sp1-utt1")
    ('sp1-utt1', 1.0)
    """
    found = _COPY.fullmatch(name)
    return (name, 1.0) if found is None else (found[2], float(found[1]))


def _is_hundredths(speed: float) -> bool:
    return (Fraction(str(speed)) * 100).denominator == 1


def recorded(data: DataDir) -> DataDir:
    """Return a set without its copies."""
    return replace(data, utterances=[u for u in data.utterances if not u.is_copy])


def altered(waveform: Tensor, utterance: Utterance) -> Tensor:
    """Alter the audio of an utterance as it says; floats are neither rounded nor clipped.

    Args:
        waveform: recorded samples [N].
        utterance: the utterance.

    Returns:
        Samples [ceil(N / speed)], float32.
    """
    alteration = utterance.alteration
    if alteration is None:
        return waveform
    samples = change_speed(waveform.numpy().astype("float64"), alteration.speed)
    return torch.from_numpy((samples * alteration.gain).astype("float32"))
