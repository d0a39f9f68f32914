"""Turns the stretches of recordings into words."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from asr_hf.hmm.search.decode import DecodingJob
from asr_hf.hmm.search.hear import Heard
from asr_hf.runtime.device import choose_device
from asr_hf.runtime.errors import InputError
from asr_hf.scoring.transcription import Transcription
from asr_hf.settings.settings import Settings
from asr_hf.stages.recognition.network_scores import unlabelled_batch
from asr_hf.stages.recognition.search_bounds import SearchBounds
from asr_hf.stages.transcription.frames import Stretch
from asr_hf.stages.transcription.speech_model import SpeechModel
from asr_hf.stages.transcription.words import spoken_words
from asr_hf.training.posteriors import log_likelihoods

log = logging.getLogger(__name__)


class Transcriber:
    """What comes before the search of a stretch, and after it; the search itself is done elsewhere.

    Args:
        model: network, graphs and features.
        settings: settings of the command, which say where it computes.
        language: language of the speech; None where the model has but one.
        longest: longest stretch (seconds) that is searched at once.

    Attributes:
        source: graphs and options of the search.
        weights: decoding weights.
        language: language of the speech.
        sample_rate: sample rate of the samples that are taken (Hz).
        shift: time between two frames that have scores (seconds).
        bounds: where the limits of the search took hold.

    Raises:
        InputError: there is no such language.
    """

    def __init__(
        self, model: SpeechModel, settings: Settings, language: str | None, longest: float
    ) -> None:
        self._model, self._longest = model, longest
        self.source, self.weights = model.graphs.source, model.weights
        self.language = _language(model.graphs.languages, language)
        options = model.frontend.options
        self.sample_rate = options.sample_rate
        self.shift = model.network.subsampling * options.frame_shift / 1000
        self._device = choose_device(settings.runtime.device, settings.runtime.threads)
        limits = model.graphs.source.options
        self.bounds = SearchBounds("decode", limits.max_active, limits.max_arcs_per_frame)

    def stretches(self, name: str, samples: NDArray[np.float32]) -> list[Stretch]:
        """Cut a recording into stretches; see `Frontend.stretches`."""
        return self._model.frontend.stretches(name, samples, self._longest)

    def job(self, name: str, stretch: Stretch) -> DecodingJob:
        """Compute the scores of a stretch.

        Args:
            name: name of the recording.
            stretch: the stretch.

        Returns:
            What is to be searched.
        """
        place = _place(name, stretch)
        batch = unlabelled_batch(stretch.features).to(self._device)
        ((_, scores),) = log_likelihoods(self._model.network, [(place, batch)], self._device)
        return DecodingJob(place, self.language, scores)

    def add(self, found: Transcription, stretch: Stretch, heard: Heard) -> None:
        """Add the words of a stretch to those of its recording."""
        place = _place(found.name, stretch)
        self.bounds.add(place, heard.frames, heard.limited_frames, heard.narrowed)
        words, segments = self._model.graphs.recognised(heard.best.path, self.language)
        found.words.extend(
            spoken_words(words, segments, heard.best, heard.frames, stretch.start, self.shift)
        )
        if not heard.complete:
            found.unfinished.append(stretch.start)
            log.warning(
                "%s: no path reached the end of this stretch, whose last words may be missing; a "
                "larger decode.beam helps",
                place,
            )


def _place(name: str, stretch: Stretch) -> str:
    return f"{name} from {stretch.start:.2f} s"


def _language(known: Sequence[str], chosen: str | None) -> str:
    if chosen is None and len(known) == 1:
        return known[0]
    if chosen is None or chosen not in known:
        raise InputError(
            f"--language {chosen}: the recogniser has no such language"
            if chosen
            else f"the recogniser knows {len(known)} languages",
            expected=f"one of {', '.join(known)}",
            remedy=f"--language {known[0]}, for example",
        )
    return chosen
