"""Settings of the group features."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from asr_hf.settings.maker import ONE_OR_MORE


@dataclass(frozen=True, kw_only=True)
class PerturbSettings:
    """Settings of the perturbation of the training set.

    Attributes:
        speeds: speeds of its copies.
        level: smallest and largest factor of the amplitude; None leaves levels as they are.
        seed: seed of the levels.
    """

    speeds: tuple[float, ...] = ()
    level: tuple[float, ...] | None = None
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class OnlineCmvnSettings:
    """Settings of online CMVN, under Kaldi's names.

    Attributes:
        cmn_window: number of frames that a mean is taken over.
        speaker_frames: most frames of the speaker's earlier utterances that fill the window up.
        global_frames: most frames of the training set that fill it up after these.
        norm_vars: whether variances are normalised too.
    """

    cmn_window: int = 600
    speaker_frames: int = 0
    global_frames: int = 200
    norm_vars: bool = False


@dataclass(frozen=True, kw_only=True)
class FeatureSettings:
    """Settings of filterbank features and their normalisation.

    Attributes:
        sample_rate: sample rate (Hz); None takes that of the prepared corpus.
        resample: whether recordings of other sample rates are brought to this one.
        num_mel_bins: number of filters.
        low_freq: lower edge of the first filter (Hz).
        high_freq: upper edge of the last filter (Hz); 0 or less counts from the Nyquist frequency.
        window: window of a frame: hamming, hanning, povey, blackman or rectangular.
        frame_length: length of the window (ms).
        frame_shift: time between two frames (ms).
        preemphasis: coefficient of the pre-emphasis, in [0, 1].
        cmvn: what mean and variance are taken over: utterance, speaker, online or none.
        online_cmvn: settings of cmvn=online.
        transforms: archives and folders with transforms of the normalised features; None applies
            none.
        perturb: settings of altered copies of the training set.
        dtype: precision of the packed store: float16 or float32.
        allow_pipes: whether entries of scp files that end in "|" are run as shell commands.
        jobs: number of processes.
        max_skipped: largest share of utterances that may be skipped.
    """

    sample_rate: int | None
    resample: bool
    num_mel_bins: int
    low_freq: float
    high_freq: float
    window: str
    frame_length: float
    frame_shift: float
    preemphasis: float
    cmvn: str
    online_cmvn: OnlineCmvnSettings = field(default_factory=OnlineCmvnSettings)
    transforms: tuple[Path, ...] | None = field(default=None, metadata=ONE_OR_MORE)
    perturb: PerturbSettings = field(default_factory=PerturbSettings)
    dtype: str
    allow_pipes: bool = False
    jobs: int
    max_skipped: float
