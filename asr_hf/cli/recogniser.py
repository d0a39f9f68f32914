"""A trained recogniser for other programs in Python."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from asr_hf.cli.speech import speech_config
from asr_hf.cli.typed import settings_of
from asr_hf.data.resampling import resample
from asr_hf.hmm.search.batches import batches
from asr_hf.hmm.search.hear import Listener
from asr_hf.runtime.errors import InputError
from asr_hf.scoring.transcription import Transcription
from asr_hf.stages.transcription.pack import model_of
from asr_hf.stages.transcription.transcriber import Transcriber
from asr_hf.training.trained_model import full_scale


class Recogniser:
    """Writes down what is said, with the network and the graph of a run.

    `asr-hf transcribe` is the same from the shell.

    Args:
        transcriber: network, features and words of the run.

    Attributes:
        language: language of the speech.
        sample_rate: sample rate of the training (Hz); recordings of others are resampled.
    """

    def __init__(self, transcriber: Transcriber) -> None:
        self._transcriber = transcriber
        self.language, self.sample_rate = transcriber.language, transcriber.sample_rate
        self._listener = Listener((transcriber.source, transcriber.weights))

    @classmethod
    def load(
        cls,
        place: str | Path,
        overrides: Sequence[str] = (),
        *,
        language: str | None = None,
        longest: float = 30.0,
    ) -> Recogniser:
        """Load the recogniser of a run or a pack.

        Args:
            place: run folder, with the corpus that it was trained on where it was; or pack.
            overrides: overrides of the run's settings, such as "decode.beam=12".
            language: language of the speech; None where the run has but one.
            longest: longest stretch (seconds) that is searched at once.

        Returns:
            The recogniser.

        Raises:
            InputError: there is no run, no network, no graph or no such language.
        """
        config, pack = speech_config(str(place), overrides)
        settings = settings_of(config)
        return cls(Transcriber(model_of(pack, settings), settings, language, longest))

    def transcribe(self, samples: Tensor | np.ndarray, sample_rate: int) -> Transcription:
        """Write down a recording.

        Args:
            samples: samples [T], floating in [-1, 1], or whole numbers of 16 bits.
            sample_rate: their rate (Hz).

        Returns:
            Its words, with times (seconds) and confidences.

        Raises:
            InputError: the recording is silent or shorter than a window, or the samples are of
                another kind.
        """
        if sample_rate <= 0:
            raise InputError(f"a sample rate of {sample_rate} Hz", expected="one above 0")
        name, scaled = "the recording", full_scale(torch.as_tensor(samples))
        seconds = len(scaled) / sample_rate
        if sample_rate != self.sample_rate:
            scaled = resample(scaled, sample_rate, self.sample_rate)
        found = Transcription(name, seconds, self.language)
        stretches = self._transcriber.stretches(name, scaled.numpy())
        jobs = (self._transcriber.job(name, stretch) for stretch in stretches)
        heard = (one for batch in batches(jobs) for one in self._listener.hear(batch))
        for stretch, one in zip(stretches, heard, strict=True):
            self._transcriber.add(found, stretch, one)
        return found
