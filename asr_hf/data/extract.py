"""Filterbank features of a data directory, in several processes."""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.pool import Pool
from pathlib import Path
from typing import Any

import numpy as np
import torch

from asr_hf.data.ark import ArkWriter
from asr_hf.data.audio import load_audio
from asr_hf.data.cmvn import CmvnMode, cmvn_stats
from asr_hf.data.fbank import FbankOptions, fbank
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json, write_json
from asr_hf.runtime.progress import progress
from asr_hf.runtime.skips import SkipList

log = logging.getLogger(__name__)

FORMAT = "asr-hf-fbank-1"
Outcome = tuple[Utterance, np.ndarray | None, str]


def extract_features(
    data: DataDir,
    folder: Path,
    options: FbankOptions,
    cmvn: str = "utterance",
    jobs: int = 1,
    max_skipped: float = 0.05,
) -> dict[str, Any]:
    """Write feats.ark/scp, cmvn.ark/scp and fbank.json; nothing to do when they are current.

    Args:
        data: the utterances.
        folder: where the files go.
        options: of the filterbank.
        cmvn: pool statistics by "utterance" or "speaker", or "none".
        jobs: processes.
        max_skipped: largest share of utterances whose audio may be unusable.

    Returns:
        What fbank.json holds: options, counts, skipped utterances and why.

    Raises:
        InputError: too many utterances are unusable.
    """
    mode = CmvnMode(cmvn)
    origin = fingerprint(data, options, mode)
    marker = folder / "fbank.json"
    if marker.exists() and (about := read_json(marker)).get("origin") == origin:
        log.info("%s: features are up to date", folder)
        return dict(about)
    skips = SkipList(f"features of {data.path.name}", max_skipped)
    frames, stats = _write_features(data, folder, options, mode, jobs, skips)
    skips.check(len(data.utterances))
    if mode is not CmvnMode.NONE:
        with ArkWriter(folder, "cmvn") as ark:
            for key, value in sorted(stats.items()):
                ark.write(key, value)
    about = {
        "format": FORMAT,
        "origin": origin,
        "options": options.to_dict(),
        "cmvn": str(mode),
        "utterances": len(data.utterances) - len(skips.reasons),
        "frames": frames,
        "skipped": skips.reasons,
    }
    write_json(marker, about)
    return about


def fingerprint(data: DataDir, options: FbankOptions, cmvn: str) -> str:
    """A hash of everything the features depend on: segments, audio files and options."""
    digest = hashlib.sha256(json.dumps([FORMAT, options.to_dict(), str(cmvn)]).encode())
    for u in data.utterances:
        digest.update(repr((u.id, u.speaker, u.recording, u.channel, u.start, u.end)).encode())
    for recording, wav in sorted(data.wavs.items()):
        path = Path(wav)
        size = path.stat().st_size if path.is_file() else -1
        digest.update(repr((recording, wav, size)).encode())
    return digest.hexdigest()


def _write_features(
    data: DataDir,
    folder: Path,
    options: FbankOptions,
    mode: CmvnMode,
    jobs: int,
    skips: SkipList,
) -> tuple[int, dict[str, np.ndarray]]:
    """Write the archive; return the number of frames and the CMVN statistics."""
    stats: dict[str, np.ndarray] = {}
    frames = 0
    work = partial(_features_of, wavs=data.wavs, options=options)
    with ArkWriter(folder, "feats") as ark, _mapper(jobs) as pool:
        results = (
            pool.imap(work, data.utterances, chunksize=16) if pool else map(work, data.utterances)
        )
        bar = progress(
            results, desc=f"fbank {data.path.name}", total=len(data.utterances), unit="utt"
        )
        for utterance, features, reason in bar:
            if features is None:
                skips.add(utterance.id, reason)
                continue
            ark.write(utterance.id, features)
            frames += len(features)
            key = mode.key(utterance)
            stats[key] = stats.get(key, 0) + cmvn_stats(features)
    return frames, stats


@contextmanager
def _mapper(jobs: int) -> Iterator[Pool | None]:
    if jobs <= 1:
        yield None
        return
    # Forking a process that holds torch's thread pool can hang, so workers start afresh.
    with multiprocessing.get_context("spawn").Pool(jobs, initializer=_single_thread) as pool:
        yield pool


def _single_thread() -> None:
    torch.set_num_threads(1)


def _features_of(utterance: Utterance, wavs: dict[str, str], options: FbankOptions) -> Outcome:
    """Compute one utterance's features [F, bins], or say why they cannot be."""
    try:
        waveform = load_audio(
            wavs[utterance.recording],
            options.sample_rate,
            utterance.channel,
            utterance.start,
            utterance.end,
        )
    except InputError as error:
        return utterance, None, error.problem
    features = fbank(waveform, options).numpy()
    if not len(features):
        seconds = len(waveform) / options.sample_rate
        return utterance, None, f"{seconds:.3f} s of audio, shorter than one frame"
    if not np.isfinite(features).all():
        return utterance, None, "its features are not finite"
    return utterance, features, ""
