"""Writes networks in the form of Kaldi's nnet3: nodes as a config, components with parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from asr_hf.kaldi.network import Layer, Network
from asr_hf.kaldi.writer import Floats, KaldiWriter

_ACTIVATIONS = {
    "sigmoid": "SigmoidComponent",
    "tanh": "TanhComponent",
    "relu": "RectifiedLinearComponent",
}
# Kaldi asks every layer that could be trained further for a rate.
_LEARNING_RATE = 0.001
_NO_VALUES = np.zeros(0, np.float32)


@dataclass(frozen=True)
class _Component:
    """A component and its node.

    Args:
        name: name of component and node.
        kind: Kaldi's name of the component's kind.
        source: descriptor of the node's input.
        dims: settings that nnet3-init needs in place of parameters.
        body: function that writes everything between the component's begin and end.
    """

    name: str
    kind: str
    source: str
    dims: str
    body: Callable[[KaldiWriter], None]


def nnet3_config(network: Network) -> str:
    """Write the network for `nnet3-init`: components with their dimensions, then nodes."""
    components = "".join(
        f"component name={component.name} type={component.kind} {component.dims}\n"
        for component in _components(network)
    )
    return components + _nodes(network)


def write_nnet3(network: Network, writer: KaldiWriter) -> None:
    """Write a raw nnet3 model, whose output node gives log posteriors."""
    components = _components(network)
    writer.token("<Nnet3>")
    # The nodes are lines of text in binary files too, an empty one at their end.
    writer.text("\n" + _nodes(network) + "\n")
    writer.token("<NumComponents>")
    writer.integer(len(components))
    writer.line_end()
    for component in components:
        writer.token("<ComponentName>", component.name, f"<{component.kind}>")
        component.body(writer)
        writer.token(f"</{component.kind}>")
        writer.line_end()
    writer.token("</Nnet3>")
    writer.line_end()


def write_nnet3_acoustic_model(network: Network, writer: KaldiWriter) -> None:
    """Write what follows the transition model in an nnet3 `final.mdl`: network and priors."""
    write_nnet3(network, writer)
    left, right = network.context
    writer.token("<LeftContext>")
    writer.integer(left)
    writer.token("<RightContext>")
    writer.integer(right)
    writer.token("<Priors>")
    writer.vector(np.exp(network.log_priors))


def _nodes(network: Network) -> str:
    lines = [f"input-node name=input dim={network.feature_dim}"]
    components = _components(network)
    lines += [
        f"component-node name={component.name} component={component.name} input={component.source}"
        for component in components
    ]
    lines.append(f"output-node name=output input={components[-1].name} objective=linear")
    return "".join(f"{line}\n" for line in lines)


def _components(network: Network) -> list[_Component]:
    dim = f"dim={len(network.mean)}"
    shift = _fixed("<Bias>", -network.mean)
    components = [
        _Component("shift", "FixedBiasComponent", _window("input", network.splice), dim, shift),
        _Component("scale", "FixedScaleComponent", "shift", dim, _fixed("<Scales>", network.scale)),
    ]
    for number, layer in enumerate(network.layers, start=1):
        name = f"affine{number}" if layer.activation else "output.affine"
        outputs, inputs = layer.weight.shape
        source = _window(components[-1].name, layer.times)
        dims = f"input-dim={inputs} output-dim={outputs}"
        components.append(_Component(name, "AffineComponent", source, dims, _affine(layer)))
        kind = _ACTIVATIONS[layer.activation] if layer.activation else "LogSoftmaxComponent"
        after = f"{layer.activation}{number}" if layer.activation else "output.log-softmax"
        components.append(_Component(after, kind, name, f"dim={outputs}", _nonlinear(outputs)))
    return components


def _window(name: str, times: tuple[int, ...]) -> str:
    """Make the descriptor of a node's rows at several times side by side."""
    terms = [name if time == 0 else f"Offset({name}, {time})" for time in times]
    return terms[0] if len(terms) == 1 else f"Append({', '.join(terms)})"


def _fixed(token: str, values: Floats) -> Callable[[KaldiWriter], None]:
    def body(writer: KaldiWriter) -> None:
        writer.token(token)
        writer.vector(values)

    return body


def _affine(layer: Layer) -> Callable[[KaldiWriter], None]:
    def body(writer: KaldiWriter) -> None:
        writer.token("<LearningRate>")
        writer.number(_LEARNING_RATE)
        writer.token("<LinearParams>")
        writer.matrix(layer.weight)
        writer.token("<BiasParams>")
        writer.vector(layer.bias)
        writer.token("<IsGradient>")
        writer.boolean(False)

    return body


def _nonlinear(dim: int) -> Callable[[KaldiWriter], None]:
    def body(writer: KaldiWriter) -> None:
        writer.token("<Dim>")
        writer.integer(dim)
        for token in ("<ValueAvg>", "<DerivAvg>"):
            writer.token(token)
            writer.vector(_NO_VALUES)
        writer.token("<Count>")
        writer.number(0.0)

    return body
