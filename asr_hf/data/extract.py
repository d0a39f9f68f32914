"""Computes the filterbank features of a data directory, in several processes."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from asr_hf.data.alteration import Alteration
from asr_hf.data.ark import ArkWriter
from asr_hf.data.audio import Recording, check_pipe, open_recording
from asr_hf.data.augment.perturb import Perturbation, altered
from asr_hf.data.cmvn import CmvnMode, cmvn_stats
from asr_hf.data.fbank import FbankOptions, fbank
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.data.online_cmvn import OnlineCmvn, OnlineCmvnOptions, earlier_stats
from asr_hf.runtime.artefact import current_or_make
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_json
from asr_hf.runtime.progress import progress
from asr_hf.runtime.provenance import ArtefactSpec, Source
from asr_hf.runtime.skips import SkipList
from asr_hf.runtime.worker_pool import worker_pool
from asr_hf.runtime.workers import Task

log = logging.getLogger(__name__)

FORMAT = "asr-hf-fbank-1"
# The kind of artefact.
KIND = "features"
# Starting a process takes as long as the features of so many bytes of audio (half an hour).
_WORTH_A_PROCESS = 32 << 20


@dataclass(frozen=True)
class _Work:
    """One recording, which is opened (or whose command is run) once for all its utterances."""

    wav: str
    utterances: list[Utterance]


@dataclass(frozen=True)
class _Outcome:
    """The features [F, D] of an utterance, or the reason why there are none."""

    utterance: Utterance
    features: np.ndarray | None = None
    reason: str = ""


def extract_features(
    data: DataDir,
    folder: Path,
    options: FbankOptions,
    cmvn: str = "utterance",
    jobs: int = 1,
    max_skipped: float = 0.05,
    allow_pipes: bool = False,
    resample: bool = False,
    perturbation: Perturbation | None = None,
    online: OnlineCmvnOptions | OnlineCmvn | None = None,
) -> dict[str, Any]:
    """Write feats.ark/scp, cmvn.ark/scp and fbank.json into a folder, unless they are current.

    Args:
        data: data directory with the utterances.
        folder: folder of the files.
        options: options of the filterbank.
        cmvn: what statistics are pooled over: "utterance", "speaker", "online" or "none".
        jobs: largest number of processes; a small set takes fewer.
        max_skipped: largest share of utterances whose audio may be unusable.
        allow_pipes: whether commands in wav.scp, which end in "|", are run in a shell.
        resample: whether audio of another sample rate is resampled; otherwise it is unusable.
        perturbation: copies and levels of the set; None for the set as it was recorded.
        online: online CMVN with the statistics of the training set, or its options where this set
            is the training set; None with another `cmvn`.

    Returns:
        The content of fbank.json: options, counts, skipped utterances and why.

    Raises:
        InputError: too many utterances are unusable, or a command is not allowed.
        RunError: the folder cannot be written to, or a process died.
    """
    mode, stage = CmvnMode(cmvn), f"features of {data.path.name}"
    spec = features_spec(data, options, cmvn, resample, perturbation, online)
    perturbed: dict[str, Any] = {}
    if perturbation is not None:
        perturbed, data = {"perturb": perturbation.to_dict()}, perturbation.of(data)
    for utterance in data.utterances:
        check_pipe(data.wavs[utterance.recording], allow_pipes)
    skips = SkipList(stage, max_skipped, "features.max_skipped")

    def make(part: Path) -> dict[str, Any]:
        extractor = _Extractor(options, allow_pipes, resample)
        with ArkWriter(part, "feats") as ark, _outcomes(data, extractor, jobs, stage) as outcomes:
            frames, stats = _write_features(ark, outcomes, len(data.utterances), mode, skips)
        rule, stats = ({}, stats) if online is None else _online(online, data, stats)
        if mode is not CmvnMode.NONE:
            _write_statistics(part, stats)
        about: dict[str, Any] = {"format": FORMAT, "options": options.to_dict(), "cmvn": str(mode)}
        about |= {"utterances": len(data.utterances) - len(skips.reasons), "frames": frames}
        about |= {"skipped": skips.reasons, **perturbed, **rule}
        write_json(part / "fbank.json", about)
        return about

    return current_or_make(folder, spec, make, skips=(skips, len(data.utterances))).about


def _write_statistics(folder: Path, stats: dict[str, np.ndarray]) -> None:
    with ArkWriter(folder, "cmvn") as ark:
        for key, value in sorted(stats.items()):
            ark.write(key, value)


def features_spec(
    data: DataDir,
    options: FbankOptions,
    cmvn: str,
    resample: bool,
    perturbation: Perturbation | None = None,
    online: OnlineCmvnOptions | OnlineCmvn | None = None,
) -> ArtefactSpec:
    """Return the spec of a set's features as an artefact.

    An audio file is identified by its size and its time of change; its content would have to be
    read in full.

    Args:
        data: data directory with the utterances.
        options: options of the filterbank.
        cmvn: see `extract_features`.
        resample: see `extract_features`.
        perturbation: see `extract_features`.
        online: see `extract_features`.
    """
    settings = {f"features.{key}": value for key, value in options.to_dict().items()}
    settings |= {"features.cmvn": str(CmvnMode(cmvn)), "features.resample": bool(resample)}
    if perturbation is not None:
        data = perturbation.of(data)
        settings |= {
            f"features.perturb.{key}": value for key, value in perturbation.to_dict().items()
        }
    audio = [[name, wav, *_stamp(wav)] for name, wav in sorted(data.wavs.items())]
    sources = {"segments": segments_source(data), "audio": Source.of_values(audio)}
    if isinstance(online, OnlineCmvn):
        sources["global statistics"] = Source.of_values(online.global_stats.tolist())
        online = online.options
    if online is not None:
        settings["features.online_cmvn"] = online.to_dict()
    return ArtefactSpec(KIND, settings, sources)


def segments_source(data: DataDir) -> Source:
    """Return a set's utterances, speakers, segments and alterations as a source of artefacts."""
    return Source.of_values(
        [
            [u.id, u.speaker, u.recording, u.channel, u.start, u.end]
            + ([] if u.alteration is None else list(astuple(u.alteration)))
            for u in data.utterances
        ]
    )


def _stamp(wav: str) -> list[int]:
    if not os.path.isfile(wav):
        return []
    status = os.stat(wav)
    return [status.st_size, status.st_mtime_ns]


def _write_features(
    ark: ArkWriter, outcomes: Iterable[_Outcome], total: int, mode: CmvnMode, skips: SkipList
) -> tuple[int, dict[str, np.ndarray]]:
    """Write the archive; return the number of frames and the CMVN statistics."""
    stats: dict[str, np.ndarray] = {}
    frames = 0
    for outcome in progress(outcomes, desc=skips.stage, total=total, unit="utt"):
        utterance, features = outcome.utterance, outcome.features
        if features is None:
            skips.add(utterance.id, outcome.reason)
            if len(skips.reasons) > skips.limit * total:
                break  # the check below fails; the rest of the corpus need not be read
            continue
        ark.write(utterance.id, features)
        frames += len(features)
        key = mode.key(utterance)
        stats[key] = stats.get(key, 0) + cmvn_stats(features)
    skips.check(total)
    return frames, stats


def _online(
    online: OnlineCmvnOptions | OnlineCmvn, data: DataDir, stats: dict[str, np.ndarray]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return what fbank.json says of online CMVN, and the statistics that cmvn.ark holds.

    Args:
        online: see `extract_features`.
        data: the set.
        stats: statistics of each utterance, by its name.
    """
    if isinstance(online, OnlineCmvnOptions):
        total: np.ndarray = np.sum(list(stats.values()), axis=0)
        online = OnlineCmvn(online, total)
    needed = online.options.speaker_frames > 0
    return online.to_dict(), earlier_stats(data.utterances, stats) if needed else {}


@contextmanager
def _outcomes(
    data: DataDir, extractor: _Extractor, jobs: int, stage: str
) -> Iterator[Iterator[_Outcome]]:
    """Yield the outcome of every utterance, by recording, in the order of first mention."""
    by_recording: dict[str, _Work] = {}
    for u in data.utterances:
        work = by_recording.setdefault(u.recording, _Work(data.wavs[u.recording], []))
        work.utterances.append(u)
    jobs = min(jobs, 1 + sum(map(_bytes, by_recording.values())) // _WORTH_A_PROCESS)
    with worker_pool(EXTRACTION, extractor, jobs, stage) as workers:
        results = workers.map(_Extractor.of, by_recording.values())
        yield (outcome for outcomes in results for outcome in outcomes)


def _bytes(work: _Work) -> int:
    """Return the size of a recording (bytes); a command's is taken for large."""
    path = Path(work.wav)
    return path.stat().st_size if os.path.isfile(path) else _WORTH_A_PROCESS


@dataclass(frozen=True)
class _Extractor:
    """Computes the features of a recording's utterances."""

    options: FbankOptions
    allow_pipes: bool
    resample: bool

    def of(self, work: _Work) -> list[_Outcome]:
        """Return the outcome of each utterance of a recording."""
        try:
            recording = open_recording(work.wav, self.allow_pipes)
        except InputError as error:
            return [_Outcome(u, reason=_in_one_line(error)) for u in work.utterances]
        return [self._outcome(recording, work.wav, u) for u in work.utterances]

    def _outcome(self, recording: Recording, wav: str, u: Utterance) -> _Outcome:
        rate = self.options.sample_rate
        try:
            waveform = recording.read(rate, u.channel, u.start, u.end, resample=self.resample)
        except InputError as error:
            return _Outcome(u, reason=_in_one_line(error))
        if len(waveform) and waveform.min() == waveform.max():
            value = f"{float(waveform[0]):g}"
            return _Outcome(u, reason=f"{wav}: silent: each of its samples is {value}")
        waveform = altered(waveform, u)
        features = fbank(waveform, self.options).numpy()
        if not len(features):
            reason = (
                f"{wav}: {1000 * len(waveform) / rate:.1f} ms of audio, "
                f"expected at least one window of {self.options.frame_length:g} ms"
            )
            return _Outcome(u, reason=reason)
        if not np.isfinite(features).all():
            return _Outcome(u, reason=f"{wav}: its features are not finite")
        return _Outcome(u, features)


def _unchanged(extractor: _Extractor) -> _Extractor:
    return extractor


EXTRACTION = Task(
    "features",
    _unchanged,
    (_Extractor.of,),
    (_Extractor, FbankOptions, _Work, _Outcome, Utterance, Alteration),
)


def _in_one_line(error: InputError) -> str:
    expected = f", expected {error.expected}" if error.expected else ""
    return f"{error.problem}{expected}; {error.remedy}"
