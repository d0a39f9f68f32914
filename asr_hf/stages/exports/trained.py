"""The trained model of a run, as the exports take it."""

from __future__ import annotations

from typing import Any

from asr_hf.kaldi.network import Network, network_of
from asr_hf.models.acoustic import AcousticModel
from asr_hf.settings.settings import Settings
from asr_hf.training.model_file import FILE_NAME, load_model


def trained_model(settings: Settings) -> tuple[AcousticModel, dict[str, Any]]:
    """Load the model of the run.

    Returns:
        The model, and what its file says about it.

    Raises:
        InputError: there is no trained model.
    """
    return load_model(settings.run_dir / FILE_NAME, settings.model.target)


def trained_network(settings: Settings) -> tuple[Network, dict[str, Any]]:
    """Load the layers of the model of the run.

    Returns:
        The layers, and what the file of the model says about it.

    Raises:
        InputError: there is no trained model, or its layers are not known.
    """
    model, about = trained_model(settings)
    return network_of(model), about
