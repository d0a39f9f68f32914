"""All that a run knows of how recordings become words."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from asr_hf.data.cmvn import CmvnSource
from asr_hf.hmm.search.decode import DecoderSource
from asr_hf.hmm.search.rescore import SearchWeights
from asr_hf.hmm.search.search import BestPath
from asr_hf.models.acoustic import AcousticModel
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json
from asr_hf.settings.settings import Settings
from asr_hf.stages.features import fbank_options
from asr_hf.stages.recognition.recognisers import Recognised, recogniser
from asr_hf.stages.sources.expected import features_fit, of_this_configuration, require
from asr_hf.stages.sources.kaldi_sets import refuse_kaldi
from asr_hf.stages.sources.layout import chosen_by, features_folder
from asr_hf.stages.transcription.frames import Frontend
from asr_hf.stages.transcription.normalisation import Normalisation
from asr_hf.training.model_file import FILE_NAME, load_model

log = logging.getLogger(__name__)


class WordGraphs(Protocol):
    """Decoding graphs, and the meaning of their labels.

    Attributes:
        languages: languages that have a graph.
        source: graphs, pdfs and options of the search.
    """

    languages: list[str]
    source: DecoderSource

    def recognised(self, path: BestPath, language: str) -> Recognised:
        """Return the words of a path and their times; no times where these are not known."""
        ...


@dataclass(frozen=True)
class SpeechModel:
    """What stands between samples and words.

    Args:
        network: the network.
        frontend: features.
        graphs: graphs and words.
        weights: decoding weights.
    """

    network: AcousticModel
    frontend: Frontend
    graphs: WordGraphs
    weights: SearchWeights


def speech_model(settings: Settings) -> SpeechModel:
    """Collect it from a run, and from the corpus that the run was trained on.

    Args:
        settings: settings of the run.

    Returns:
        The model.

    Raises:
        InputError: there is no network or no graph, they do not fit one another, or features of new
            recordings cannot be those of the training.
    """
    path = settings.run_dir / FILE_NAME
    network, about = load_model(path, settings.model.target)
    graphs = recogniser(settings)
    graphs.check_model(about, path)
    frontend = _frontend(settings, about, path)
    return SpeechModel(network, frontend, graphs, tuned_weights(settings))


def _frontend(settings: Settings, about: Mapping[str, Any], model: Path) -> Frontend:
    refuse_kaldi(settings, "transcribe")
    if settings.features.transforms is not None:
        raise InputError(
            "the network takes features with transforms (features.transforms), which a new "
            "recording has none of",
            remedy="train without features.transforms",
        )
    folder = features_folder(settings, settings.corpus.train_set)
    if not (folder / "fbank.json").is_file():
        raise InputError(
            f"{folder}: no features of the training set, whose statistics are needed",
            expected="the corpus that the run was trained on",
            remedy=f"run asr-hf features {chosen_by(settings)}",
        )
    remedy = "asr-hf features with the same overrides"
    if (known := require(folder, remedy)) is not None:
        of_this_configuration(settings, known, remedy)
        features_fit(known.source, about, model)
    return Frontend(fbank_options(settings), Normalisation.of_training(CmvnSource.open(folder)))


def tuned_weights(settings: Settings) -> SearchWeights:
    """Return the decoding weights that were tuned for a run, or those of the search.

    Raises:
        InputError: the file that should hold them is damaged.
    """
    path = settings.run_dir / "decode" / "best.json"
    if not path.is_file():
        log.warning(
            "%s: not there, so the decoding weights were not tuned: acoustic scale %g; run "
            "asr-hf decode %s first",
            path,
            settings.decode.lattice_scale,
            settings.run_dir,
        )
        return SearchWeights(settings.decode.lattice_scale)
    content = read_json(path)
    return weights_of(content.get("best") if isinstance(content, dict) else None, path)


def weights_of(values: Any, path: Path) -> SearchWeights:
    """Return the decoding weights that a file holds.

    Raises:
        InputError: they are no such weights.
    """
    known = asdict(SearchWeights(1.0))
    if (
        not isinstance(values, dict)
        or values.keys() != known.keys()
        or not all(type(value) in (int, float) for value in values.values())
    ):
        raise InputError(
            f"{path}: decoding weights are {str(values)[:80]}",
            expected=f"numbers for {', '.join(known)}",
            remedy="remove the folder and run asr-hf decode again",
        )
    return SearchWeights(**values)
