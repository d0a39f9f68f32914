"""Makes a corpus of festival's speech: clean, in noise and over a telephone, in three sets."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from asr_hf.data.augment.codec import through_codec
from asr_hf.data.augment.level import set_level
from asr_hf.data.augment.mixing import at_snr
from asr_hf.data.augment.noise import Noise, noise
from asr_hf.data.resampling import resample
from asr_hf.runtime.files import write_text
from benchmarks.boundaries.festival import Spoken

CONDITIONS = ("clean", "noisy", "codec")
_RATE, _TELEPHONE = 16_000, 8_000
# Pink noise: the smallest and the largest ratio to it (dB).
_SNR = (5.0, 15.0)


def make(folder: Path, spoken: Sequence[Spoken], held_out: int) -> Path:
    """Write audio, table and dictionary.

    Sentences of dev and test are in them in all conditions. Each of the training set is in one, by
    turns: that many recordings of each kind a user might have.

    Args:
        folder: folder that holds the speech, and gets the rest.
        spoken: sentences.
        held_out: number of sentences of dev, and half of that of test.

    Returns:
        The table.
    """
    rows = ["id\taudio\ttext\tspeaker\tsplit"]
    lexicon: set[str] = set()
    for number, one in enumerate(spoken):
        split = "dev" if number < held_out else "test" if number < 3 * held_out else "train"
        # Voices go by turns as well, so that turns of conditions are as many times longer.
        turn = CONDITIONS[number // len(CONDITIONS) % len(CONDITIONS)]
        text = " ".join(word for word, _ in one.words)
        lexicon |= {f"{word} {' '.join(p.label for p in phones)}" for word, phones in one.words}
        for condition in CONDITIONS if split != "train" else (turn,):
            name = f"{one.name}-{condition}"
            path = folder / "audio" / f"{name}.wav"
            if not path.exists():
                path.parent.mkdir(exist_ok=True)
                clean = _samples(folder / "spoken" / f"{one.name}.wav")
                heard = _condition(clean, condition, name)
                soundfile.write(path, heard, _RATE, subtype="PCM_16")
            # Speaker means are of one condition.
            rows.append(f"{name}\taudio/{name}.wav\t{text}\t{one.voice}-{condition}\t{split}")
    write_text(folder / "lexicon.txt", "".join(f"{line}\n" for line in sorted(lexicon)))
    write_text(folder / "boundaries.tsv", "".join(f"{row}\n" for row in rows))
    return folder / "boundaries.tsv"


def _samples(path: Path) -> NDArray[np.float64]:
    """Read samples [N] in the range of 16-bit integers."""
    samples, rate = soundfile.read(path, dtype="float32")
    resampled = resample(torch.from_numpy(samples), rate, _RATE)
    scaled: NDArray[np.float64] = resampled.double().numpy() * 32768
    return scaled


def _condition(samples: NDArray[np.float64], condition: str, name: str) -> NDArray[np.int16]:
    if condition == "noisy":
        random = np.random.default_rng(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16))
        drawn = Noise("pink", int(random.integers(1 << 31)), float(random.uniform(*_SNR)))
        hiss = noise(drawn, len(samples), _RATE)
        return set_level(samples + at_snr(hiss, samples, drawn.snr_db), 0.0)
    if condition == "codec":
        narrow = resample(torch.from_numpy(samples), _RATE, _TELEPHONE)
        heard = through_codec(set_level(narrow.numpy(), 0.0), "gsm", _TELEPHONE)
        wide = resample(torch.from_numpy(heard.astype(np.float64)), _TELEPHONE, _RATE)
        return set_level(wide.numpy()[: len(samples)], 0.0)
    return set_level(samples, 0.0)


def spoken_in(utterance: str) -> tuple[str, str]:
    """Return the sentence and the condition of an utterance, whose name has its speaker first."""
    _, sentence, condition = utterance.rsplit("-", 2)
    return sentence, condition
