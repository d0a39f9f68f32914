"""Makes a data directory of augmented copies, in several processes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from asr_hf.data.audio import load_audio
from asr_hf.data.augment.babble import Babble
from asr_hf.data.augment.chain import Effects, EffectSettings, augment, draw
from asr_hf.data.augment.draws import Ring
from asr_hf.data.augment.noise import Noise
from asr_hf.data.augment.table import Copy
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.progress import progress
from asr_hf.runtime.skips import SkipList
from asr_hf.runtime.worker_pool import worker_pool
from asr_hf.runtime.workers import Task

# Starting a process takes as long as making so many copies.
_WORTH_A_PROCESS = 500


@dataclass(frozen=True)
class _Excerpt:
    """The place of an utterance's audio: a file, a channel, begin and end (seconds)."""

    wav: str
    channel: int
    start: float | None
    end: float | None

    def load(self, sample_rate: int) -> NDArray[np.float64]:
        samples = load_audio(self.wav, sample_rate, self.channel, self.start, self.end)
        return samples.numpy().astype(np.float64)


@dataclass(frozen=True)
class _Work:
    """One copy to be made, with the audio of its utterance and of its talkers."""

    copy: Copy
    excerpts: dict[str, _Excerpt]


@dataclass(frozen=True)
class _Outcome:
    """The number of samples that were written for a copy, or the reason why there are none."""

    copy: Copy
    samples: int = 0
    reason: str = ""


def draw_copies(data: DataDir, count: int, settings: EffectSettings, seed: int) -> list[Copy]:
    """Draw copies of every utterance of a clean set, with babble from the same set.

    Args:
        data: the clean set.
        count: number of copies of each utterance.
        settings: distributions of the effects.
        seed: seed of all draws.

    Returns:
        The copies, by utterance.
    """
    ring = Ring(u.id for u in data.utterances)
    return [
        Copy(copy_name(u.id, number), u.id, number, draw(settings, seed, u.id, number, ring))
        for u in data.utterances
        for number in range(1, count + 1)
    ]


def copy_name(name: str, number: int) -> str:
    """Return the name of an utterance's or a speaker's copy.

    Speakers are renamed too, because normalisation pools a speaker's recordings, and should not
    mix clean and noisy ones.

    >>> copy_name("utt1", 2)
    'x2-utt1'
    """
    return f"x{number}-{name}"


def utterances_of(data: DataDir, copies: Iterable[Copy]) -> list[Utterance]:
    """Return the copies as utterances with their own recordings and the clean transcripts."""
    clean = {u.id: u for u in data.utterances}
    return [
        replace(
            clean[copy.clean],
            id=copy.utterance,
            speaker=copy_name(clean[copy.clean].speaker, copy.number),
            recording=copy.utterance,
            channel=0,
            start=None,
            end=None,
        )
        for copy in copies
    ]


def make_copies(
    data: DataDir,
    copies: list[Copy],
    folder: Path,
    sample_rate: int,
    jobs: int,
    skips: SkipList,
) -> dict[str, int]:
    """Write every copy as <folder>/<utterance>.wav, with 16 bits a sample.

    Args:
        data: the clean set.
        copies: copies to be made.
        folder: folder of the files.
        sample_rate: sample rate (Hz).
        jobs: largest number of processes; a small set takes fewer.
        skips: list that takes copies whose audio is unusable.

    Returns:
        The number of samples of each copy that was made.

    Raises:
        RunError: a process died.
        OSError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    jobs = min(jobs, 1 + len(copies) // _WORTH_A_PROCESS)
    with worker_pool(COPYING, _Maker(folder, sample_rate), jobs, skips.stage) as workers:
        outcomes = workers.map(_Maker.make, _works(data, copies))
        made = {}
        for outcome in progress(outcomes, desc=skips.stage, total=len(copies), unit="utt"):
            if outcome.reason:
                skips.add(outcome.copy.utterance, outcome.reason)
            else:
                made[outcome.copy.utterance] = outcome.samples
    skips.check(len(copies))
    return made


def _works(data: DataDir, copies: list[Copy]) -> Iterator[_Work]:
    excerpts = {
        u.id: _Excerpt(data.wavs[u.recording], u.channel, u.start, u.end) for u in data.utterances
    }
    for copy in copies:
        babble = copy.effects.babble
        needed = (copy.clean, *(babble.talkers if babble else ()))
        yield _Work(copy, {name: excerpts[name] for name in needed})


@dataclass(frozen=True)
class _Maker:
    """Makes copies and writes them into a folder; the sample rate is in Hz."""

    folder: Path
    sample_rate: int

    def make(self, work: _Work) -> _Outcome:
        """Make one copy and write it."""
        copy, rate = work.copy, self.sample_rate
        try:
            samples = augment(
                work.excerpts[copy.clean].load(rate),
                copy.effects,
                rate,
                lambda name: work.excerpts[name].load(rate),
            )
        except InputError as error:
            return _Outcome(copy, reason=error.problem)
        wav = BytesIO()
        soundfile.write(wav, samples, rate, "PCM_16", format="WAV")
        (self.folder / f"{copy.utterance}.wav").write_bytes(wav.getvalue())
        return _Outcome(copy, len(samples))


def _unchanged(maker: _Maker) -> _Maker:
    return maker


COPYING = Task(
    "copies",
    _unchanged,
    (_Maker.make,),
    (_Maker, _Work, _Excerpt, _Outcome, Copy, Effects, Babble, Noise),
)
