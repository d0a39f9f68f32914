"""A network with the hidden layers of another one and an output layer of its own."""

from __future__ import annotations

from pathlib import Path

import torch

from asr_hf.data.store import FrameStore
from asr_hf.models.acoustic import AcousticModel
from asr_hf.runtime.errors import InputError
from asr_hf.settings.settings import Settings
from asr_hf.stages.training.stores import pdf_counts
from asr_hf.training.model_file import build_model
from asr_hf.training.parameter_places import output_parameters

_PRIORS = "log_priors"


@torch.no_grad()
def with_new_output(
    settings: Settings, old: AcousticModel, path: Path, train: FrameStore
) -> AcousticModel:
    """Make a network for the states of `train` with the hidden layers of another network.

    The output layer starts at zero weights, and biases that give the pdfs' priors: no posterior
    depends on the input yet, so that the first steps move the output layer alone.

    Args:
        settings: settings of the command, with those of the other network's class.
        old: the other network.
        path: its file, for messages.
        train: training data.

    Returns:
        The network.

    Raises:
        InputError: its class has no layer that can be told apart as the output layer.
    """
    model = build_model(settings.model.tree, train.dim, train.num_pdfs, settings.runtime.seed)
    output = output_parameters(model)
    kept, parameters = dict(old.named_parameters()), dict(model.named_parameters())
    if not output or set(output) != set(output_parameters(old)):
        raise InputError(
            f"{path}: a {type(model).__name__} has no output layer that can be told apart",
            expected="a matrix with a row for each pdf, in a layer of its own",
            remedy="new_output=false, with the states of that run",
        )
    for name, parameter in parameters.items():
        if name not in output:
            parameter.copy_(kept[name])
    for name, buffer in model.named_buffers():
        if name != _PRIORS:
            buffer.copy_(old.get_buffer(name))
    model.set_log_priors(torch.from_numpy(pdf_counts(train)))
    for name in output:
        parameter = parameters[name]
        if parameter.shape == model.log_priors.shape:
            parameter.copy_(model.log_priors)
        else:
            parameter.zero_()
    return model
