"""Opens the recordings that are to be transcribed, and reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.audio import FORMATS, open_recording
from asr_hf.data.audio_check import AudioSize, measure
from asr_hf.runtime.errors import InputError

_NAMED = 10


@dataclass(frozen=True)
class AudioInput:
    """A recording to transcribe.

    Args:
        path: audio file.
        size: its duration, channels and sample rate.
        channel: number of the channel that is transcribed, from 1; None for the mean of all.
    """

    path: Path
    size: AudioSize
    channel: int | None

    def read(self, sample_rate: int) -> NDArray[np.float32]:
        """Read the samples.

        Args:
            sample_rate: rate of the result (Hz).

        Returns:
            Samples [N] in the range of 16-bit integers.

        Raises:
            InputError: the file is damaged.
        """
        recording = open_recording(self.path)
        chosen = range(self.size.channels) if self.channel is None else [self.channel - 1]
        read = (recording.read(sample_rate, channel, resample=True) for channel in chosen)
        samples: NDArray[np.float32] = next(read).numpy()
        for other in read:
            samples += other.numpy()
        samples /= len(chosen)
        return samples


def audio_inputs(paths: Sequence[Path], channel: int | None) -> list[AudioInput]:
    """Look at recordings before any of them is transcribed.

    Args:
        paths: audio files.
        channel: number of the channel that is transcribed, from 1; None for the mean of all.

    Returns:
        The recordings.

    Raises:
        InputError: a file cannot be read or has no such channel; all of them are named.
    """
    found, faults = [], []
    for path in paths:
        size = measure(str(path))
        if isinstance(size, str):
            faults.append(f"{path}: {size}")
        elif channel is not None and channel > size.channels:
            faults.append(f"{path}: --channel {channel}, but it has {size.channels}")
        else:
            found.append(AudioInput(path, size, channel))
    if faults:
        named = faults[:_NAMED] + ([f"and {len(faults) - _NAMED} more"] * (len(faults) > _NAMED))
        head = f"{len(faults)} of {len(paths)} recordings cannot be transcribed\n    "
        raise InputError(
            faults[0] if len(paths) == 1 else head + "\n    ".join(named),
            expected=FORMATS,
            remedy="mend these files, or leave them out",
        )
    return found
