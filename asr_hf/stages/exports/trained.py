"""Loads the trained model of a run for the exports."""

from __future__ import annotations

from typing import Any

from asr_hf.kaldi.network import Network, network_of
from asr_hf.models.acoustic import AcousticModel
from asr_hf.settings.settings import Settings
from asr_hf.training.model_file import FILE_NAME, load_model


def trained_model(settings: Settings) -> tuple[AcousticModel, dict[str, Any]]:
    """Load the model of `run_dir`.

    Args:
        settings: settings of the command.

    Returns:
        The model, and the description in its file.

    Raises:
        InputError: there is no trained model.
    """
    return load_model(settings.run_dir / FILE_NAME, settings.model.target)


def trained_network(settings: Settings) -> tuple[Network, dict[str, Any]]:
    """Load the model of `run_dir` as a list of layers.

    Args:
        settings: settings of the command.

    Returns:
        The layers, and the description in the model file.

    Raises:
        InputError: there is no trained model, or its layers are not known.
    """
    model, about = trained_model(settings)
    return network_of(model), about
