"""Where the parameters of an acoustic model lie in θ."""

from __future__ import annotations

from asr_hf.baselines.parameters import ParameterPlace
from asr_hf.models.acoustic import AcousticModel
from asr_hf.models.flat import parameter_slices


def parameter_places(model: AcousticModel) -> tuple[ParameterPlace, ...]:
    """Return the places of a model's parameters in the order in which they lie in θ.

    The output layer's weights are the last matrix that has a row for each pdf.

    Args:
        model: the model.

    Returns:
        The places.
    """
    slices = parameter_slices(model)
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    outputs = [name for name, s in shapes.items() if len(s) == 2 and s[0] == model.num_pdfs]
    return tuple(
        ParameterPlace(slices[name].start, shape, output=name in outputs[-1:])
        for name, shape in shapes.items()
    )


def weight_slices(model: AcousticModel) -> tuple[slice, ...]:
    """Return the places in θ of all parameters but vectors, which are biases and scales."""
    slices = parameter_slices(model)
    return tuple(slices[name] for name, p in model.named_parameters() if p.dim() > 1)
