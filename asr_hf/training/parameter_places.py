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
    slices, output = parameter_slices(model), _output_weights(model)
    return tuple(
        ParameterPlace(slices[name].start, tuple(p.shape), output=name == output)
        for name, p in model.named_parameters()
    )


def output_parameters(model: AcousticModel) -> tuple[str, ...]:
    """Return the names of the output layer's parameters: its weights and what lies beside them.

    Args:
        model: the model.

    Returns:
        The names; none where no matrix has a row for each pdf.
    """
    if (weights := _output_weights(model)) is None:
        return ()
    layer = weights.rpartition(".")[0]
    return tuple(n for n, _ in model.named_parameters() if n.rpartition(".")[0] == layer)


def hidden_slices(model: AcousticModel) -> tuple[slice, ...]:
    """Return the places in θ of all parameters but those of the output layer."""
    output = output_parameters(model)
    return tuple(place for name, place in parameter_slices(model).items() if name not in output)


def _output_weights(model: AcousticModel) -> str | None:
    """Return the name of the last matrix that has a row for each pdf."""
    shapes = {name: parameter.shape for name, parameter in model.named_parameters()}
    outputs = [name for name, s in shapes.items() if len(s) == 2 and s[0] == model.num_pdfs]
    return outputs[-1] if outputs else None


def weight_slices(model: AcousticModel) -> tuple[slice, ...]:
    """Return the places in θ of all parameters but vectors, which are biases and scales."""
    slices = parameter_slices(model)
    return tuple(slices[name] for name, p in model.named_parameters() if p.dim() > 1)
