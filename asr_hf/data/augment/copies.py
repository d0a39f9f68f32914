"""A data directory of augmented copies, made in several processes."""

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

# Starting a process takes as long as this many copies.
_WORTH_A_PROCESS = 500


@dataclass(frozen=True)
class _Excerpt:
    """Where the audio of an utterance is."""

    wav: str
    channel: int
    start: float | None
    end: float | None

    def load(self, sample_rate: int) -> NDArray[np.float64]:
        samples = load_audio(self.wav, sample_rate, self.channel, self.start, self.end)
        return samples.numpy().astype(np.float64)


@dataclass(frozen=True)
class _Work:
    """One copy to be made, and where everything for it is."""

    copy: Copy
    excerpts: dict[str, _Excerpt]


@dataclass(frozen=True)
class _Outcome:
    """Samples written for a copy, or why there are none."""

    copy: Copy
    samples: int = 0
    reason: str = ""


def draw_copies(data: DataDir, count: int, settings: EffectSettings, seed: int) -> list[Copy]:
    """Draw `count` copies of every utterance of a clean set, babble from the same set."""
    ring = Ring(u.id for u in data.utterances)
    return [
        Copy(copy_name(u.id, number), u.id, number, draw(settings, seed, u.id, number, ring))
        for u in data.utterances
        for number in range(1, count + 1)
    ]


def copy_name(name: str, number: int) -> str:
    """Return the name of an utterance's or a speaker's copy.

    Speakers are renamed too: normalisation pools a speaker's recordings, and those of clean and
    of noisy ones are better kept apart.
    """
    return f"x{number}-{name}"


def utterances_of(data: DataDir, copies: Iterable[Copy]) -> list[Utterance]:
    """Return the copies as utterances of recordings of their own, transcripts and languages theirs."""
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
    """Write <folder>/<utterance>.wav, 16 bits, of every copy.

    Args:
        data: the clean set.
        copies: what to make of it.
        folder: where the files go.
        sample_rate: Hz.
        jobs: processes at most; a small set takes fewer.
        skips: takes copies whose audio is unusable.

    Returns:
        Samples of each copy that was made.

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
    """Writes copies of a sample rate (Hz) into a folder."""

    folder: Path
    sample_rate: int

    def make(self, work: _Work) -> _Outcome:
        """Make one copy."""
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


def _ready(maker: _Maker) -> _Maker:
    return maker


COPYING = Task(
    "copies",
    _ready,
    (_Maker.make,),
    (_Maker, _Work, _Excerpt, _Outcome, Copy, Effects, Babble, Noise),
)
