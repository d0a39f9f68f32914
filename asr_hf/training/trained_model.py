"""A trained acoustic model for other programs in Python, with what it takes to feed it."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from asr_hf.data.cmvn import CmvnMode, apply_cmvn, cmvn_stats
from asr_hf.data.fbank import FbankOptions, fbank
from asr_hf.data.frame_batch import FrameBatch
from asr_hf.data.online_cmvn import OnlineCmvn
from asr_hf.models.acoustic import AcousticModel
from asr_hf.runtime.errors import InputError
from asr_hf.settings.features import FeatureSettings
from asr_hf.settings.maker import make
from asr_hf.training import model_file

# Full scale of the samples that features are made of: those of 16-bit recordings.
_FULL_SCALE = 32768.0


class TrainedModel(nn.Module):
    """A trained acoustic model: features of utterances in, scores of pdfs (HMM states) out.

    Args:
        network: the network.
        about: what its file says of it.

    Attributes:
        network: the network, with its parameters, its priors and the normalisation of its inputs.
        features: settings of the features that it was trained on.
        corpus: name of the corpus that it was trained on.
        feature_dim: number D of features of a frame.
        num_pdfs: number of pdfs.

    Raises:
        InputError: the description of the features is not one that asr-hf writes.
    """

    def __init__(self, network: AcousticModel, about: dict[str, Any]) -> None:
        super().__init__()
        self.network = network
        self.features = make(FeatureSettings, about.get("features"), "features")
        self.corpus = str(about.get("corpus", ""))
        self.feature_dim, self.num_pdfs = network.feature_dim, network.num_pdfs
        self._online = _online_cmvn(self.features, about)

    def forward(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Compute logits, before the softmax over pdfs.

        Args:
            features: normalised features of one utterance [F, D], or of several side by side; no
                context is spliced: the network does that itself.
            lengths: number of frames of each utterance [U]; None for a single one.

        Returns:
            Logits [F, pdfs].

        Raises:
            InputError: the features have another dimension, or the lengths another sum.
        """
        logits: Tensor = self.network(self.network.inputs(self._batch(features, lengths)))
        return logits

    @torch.no_grad()
    def log_likelihoods(self, features: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Compute log p(pdf | x) - log p(pdf) [F, pdfs], which decoders take; see `forward`."""
        return self.network.log_likelihoods(self.network.inputs(self._batch(features, lengths)))

    def extract(self, samples: Tensor | np.ndarray, sample_rate: int) -> Tensor:
        """Compute the features of a recording as those of the training.

        Their mean and variance are normalised over the recording. Where the training pooled them
        over a speaker, give all that a speaker says in one call if you can.

        Args:
            samples: samples [T], floating in [-1, 1], or whole numbers of 16 bits.
            sample_rate: their rate (Hz).

        Returns:
            Features [F, D], float32.

        Raises:
            InputError: the recording has another sample rate, or is shorter than a window; or the
                features of the training were transformed, or are of a kind unknown here.
        """
        settings = self.features
        if settings.sample_rate is None or settings.transforms is not None:
            raise InputError(
                "the features of this model were transformed, or came from outside",
                remedy="compute them as they were computed then, and give them to forward()",
            )
        if sample_rate != settings.sample_rate:
            raise InputError(
                f"a recording of {sample_rate} Hz",
                expected=f"{settings.sample_rate} Hz, as in the training",
                remedy="resample it, e.g. by asr_hf.data.resampling.resample",
            )
        given = {f.name: vars(settings)[f.name] for f in fields(FbankOptions)}
        options = FbankOptions(**given)
        frames = fbank(full_scale(torch.as_tensor(samples)), options).numpy()
        if not len(frames):
            raise InputError(
                f"a recording of {len(samples)} samples",
                expected=f"at least a window of {options.window_samples}",
            )
        if self._online is not None:
            frames = self._online.apply(frames)
        elif settings.cmvn != CmvnMode.NONE:
            frames = apply_cmvn(frames, cmvn_stats(frames))
        return torch.from_numpy(frames)

    def _batch(self, features: Tensor, lengths: Tensor | None) -> FrameBatch:
        if features.dim() != 2 or features.shape[1] != self.feature_dim:
            raise InputError(
                f"features {list(features.shape)}", expected=f"[frames, {self.feature_dim}]"
            )
        if lengths is None:
            lengths = torch.tensor([len(features)])
        if int(lengths.sum()) != len(features) or bool((lengths < 0).any()):
            raise InputError(
                f"lengths that sum up to {int(lengths.sum())}",
                expected=f"the {len(features)} frames of all utterances",
            )
        ends = lengths.cumsum(0).repeat_interleave(lengths)
        starts = ends - lengths.repeat_interleave(lengths)
        labels = torch.zeros(0, dtype=torch.int64)
        return FrameBatch(features, labels, starts, ends).to(features.device)


def load_model(path: str | Path, *, named: str | None = None) -> TrainedModel:
    """Load the model of a run, from its folder or its file.

    Nothing in the file is run or imported, and its checksum is compared: a file from anywhere may
    be opened.

    Args:
        path: run folder, or model.safetensors.
        named: full name of the model's class where it is not asr-hf's own, such as
            "mine.models.Residual". It is imported only if the file names the same.

    Returns:
        The model on the CPU, in evaluation mode.

    Raises:
        InputError: there is no model, it is damaged, or of a class that is not named.
    """
    file = Path(path)
    if file.is_dir():
        file = file / model_file.FILE_NAME
    network, about = model_file.load_model(file, named)
    return TrainedModel(network, about).eval()


def _online_cmvn(features: FeatureSettings, about: dict[str, Any]) -> OnlineCmvn | None:
    """Return the online CMVN of the training; None where it had another.

    Raises:
        InputError: the model file lacks the statistics of the training set.
    """
    if features.cmvn != CmvnMode.ONLINE:
        return None
    described = {"online_cmvn": asdict(features.online_cmvn)}
    try:
        return OnlineCmvn.of(described | {"global_stats": about.get("global_stats")})
    except ValueError as error:
        raise InputError(
            f"features.cmvn=online, but in the model file {error}",
            remedy="train the network again",
        ) from error


def full_scale(samples: Tensor) -> Tensor:
    """Bring samples to the range of 16-bit integers.

    Args:
        samples: samples [T], floating in [-1, 1], or whole numbers of 16 bits.

    Returns:
        The same samples [T] in that range, float32.

    Raises:
        InputError: they are of another kind, or of several channels.
    """
    if samples.dim() != 1:
        raise InputError(f"samples {list(samples.shape)}", expected="one channel [T]")
    if samples.is_floating_point():
        return samples.float() * _FULL_SCALE
    if samples.dtype is torch.int16:
        return samples.float()
    raise InputError(f"samples of {samples.dtype}", expected="floating-point or int16 samples")
