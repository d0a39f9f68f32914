"""A second output layer, which training alone has."""

from __future__ import annotations

import torch

from asr_hf.models.acoustic import AcousticModel
from asr_hf.runtime.errors import InputError
from asr_hf.settings.settings import Settings
from asr_hf.training.model_file import build_model
from asr_hf.training.parameter_places import output_parameters

_PRIORS = "log_priors"


def has_branch(settings: Settings) -> bool:
    """Return whether the criterion of lattice-free MMI asks for a second output layer."""
    return bool(settings.criterion.get("cross_entropy"))


@torch.no_grad()
def with_branch(settings: Settings, model: AcousticModel, other: AcousticModel) -> AcousticModel:
    """Put the output layer of a second network beside that of the first.

    Args:
        settings: settings of the command, with those of the networks' class.
        model: network whose hidden layers and output layer are taken.
        other: network whose output layer comes behind.

    Returns:
        A network of twice as many outputs.

    Raises:
        InputError: its class has no layer that can be told apart as the output layer.
    """
    wide = _of_size(settings, model, 2 * model.num_pdfs)
    outputs = _outputs(wide)
    theirs = dict(other.named_parameters())
    for name, parameter in dict(model.named_parameters()).items():
        kept = torch.cat([parameter, theirs[name]]) if name in outputs else parameter
        wide.get_parameter(name).copy_(kept)
    _copy_buffers(model, wide)
    wide.log_priors.zero_()
    return wide


@torch.no_grad()
def without_branch(settings: Settings, wide: AcousticModel) -> AcousticModel:
    """Return the network without the second half of its outputs."""
    model = _of_size(settings, wide, wide.num_pdfs // 2).to(wide.flat.device)
    outputs = _outputs(model)
    for name, parameter in wide.named_parameters():
        kept = parameter[: model.num_pdfs] if name in outputs else parameter
        model.get_parameter(name).copy_(kept)
    _copy_buffers(wide, model)
    model.log_priors.copy_(wide.log_priors[: model.num_pdfs])
    return model


def _of_size(settings: Settings, like: AcousticModel, num_pdfs: int) -> AcousticModel:
    return build_model(settings.model.tree, like.feature_dim, num_pdfs, settings.runtime.seed)


def _outputs(model: AcousticModel) -> set[str]:
    found = set(output_parameters(model))
    if not found:
        raise InputError(
            f"criterion.cross_entropy: a {type(model).__name__} has no output layer that can be "
            "told apart, beside which another one could stand",
            expected="a matrix with a row for each pdf, in a layer of its own",
            remedy="criterion.cross_entropy=0",
        )
    return found


def _copy_buffers(source: AcousticModel, target: AcousticModel) -> None:
    for name, buffer in source.named_buffers():
        if name != _PRIORS:
            target.get_buffer(name).copy_(buffer)
