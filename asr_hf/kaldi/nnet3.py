"""Writes networks in the form of Kaldi's nnet3: nodes as a config, components with parameters."""

from __future__ import annotations

import math
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
# Writes everything between a component's begin and end.
_Body = Callable[[KaldiWriter], None]
# Kind, source, dims and body of a `_Component`.
_Rest = tuple[str, str, str, _Body]
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
    body: _Body


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
    # Constant units at the end of the rows below, which a layer's weights leave alone.
    constants = 0
    for number, layer in enumerate(network.layers, start=1):
        components += _layer(layer, number, components[-1].name, constants)
        constants = int(layer.normalisation == "layer")
    return components


def _layer(layer: Layer, number: int, below: str, constants: int) -> list[_Component]:
    """Return the components of a layer, given the node below it and that node's constant units."""
    made: list[_Component] = []
    seen = below
    if layer.bottleneck is not None:
        seen = f"linear{number}" if layer.activation else "output.linear"
        weight = _with_constants(layer.bottleneck.weight, layer.bottleneck.times, constants)
        source, dims = _window(below, layer.bottleneck.times), _dims(weight)
        made.append(_Component(seen, "LinearComponent", source, dims, _linear(weight)))
        constants = 0
    name = f"affine{number}" if layer.activation else "output.affine"
    weight = _with_constants(layer.weight, layer.times, constants)
    source, body = _window(seen, layer.times), _affine(weight, layer.bias)
    made.append(_Component(name, "AffineComponent", source, _dims(weight), body))
    units = len(layer.bias)
    kind = _ACTIVATIONS[layer.activation] if layer.activation else "LogSoftmaxComponent"
    after = f"{layer.activation}{number}" if layer.activation else "output.log-softmax"
    made.append(_Component(after, kind, name, f"dim={units}", _nonlinear(units)))
    made += _normalisers(layer, number, after)
    if layer.bypass:
        units += int(layer.normalisation == "layer")
        source = f"Sum(Scale({layer.bypass:.9g}, {below}), {made[-1].name})"
        dims, body = f"dim={units}", _no_op(units)
        made.append(_Component(f"bypass{number}", "NoOpComponent", source, dims, body))
    return made


def _dims(weight: Floats) -> str:
    return f"input-dim={weight.shape[1]} output-dim={weight.shape[0]}"


def _normalisers(layer: Layer, number: int, source: str) -> list[_Component]:
    """Return the components that normalise a layer's outputs.

    NormalizeComponent adds nothing to the mean square, up to a floor that `rms` adds. Where more is
    added, a constant unit with that share of the square stands beside the others.
    """
    if layer.normalisation is None:
        return []
    units, name = len(layer.bias), f"normalise{number}"
    if layer.mean is not None and layer.scale is not None:
        centre, dims = f"centre{number}", f"dim={units}"
        bias, scales = _fixed("<Bias>", -layer.mean), _fixed("<Scales>", layer.scale)
        return [
            _Component(centre, "FixedBiasComponent", source, dims, bias),
            _Component(name, "FixedScaleComponent", centre, dims, scales),
        ]
    if layer.normalisation == "rms":
        return [_Component(name, *_normalise(source, units, 1.0))]
    centring = np.eye(units + 1, units) - 1.0 / units
    centring[units] = 0.0
    shift = np.zeros(units + 1)
    shift[units] = math.sqrt(units * layer.epsilon)
    target = math.sqrt(units / (units + 1))
    centre, dims = f"centre{number}", f"input-dim={units} output-dim={units + 1}"
    body = _fixed_affine(centring.astype(np.float32), shift.astype(np.float32))
    return [
        _Component(centre, "FixedAffineComponent", source, dims, body),
        _Component(name, *_normalise(centre, units + 1, target)),
    ]


def _normalise(source: str, units: int, target: float) -> _Rest:
    """Return what makes a NormalizeComponent of rows of `units` units, beside its name."""

    def body(writer: KaldiWriter) -> None:
        writer.token("<InputDim>")
        writer.integer(units)
        writer.token("<TargetRms>")
        writer.number(target)
        writer.token("<AddLogStddev>")
        writer.boolean(False)

    dims = f"dim={units} target-rms={target:.9g}"
    return "NormalizeComponent", source, dims, body


def _with_constants(weight: Floats, times: tuple[int, ...], constants: int) -> Floats:
    """Return a map's weights with columns of zeros for the constant units below it."""
    if not constants:
        return weight
    taps = weight.reshape(len(weight), len(times), -1)
    return np.pad(taps, ((0, 0), (0, 0), (0, constants))).reshape(len(weight), -1)


def _window(name: str, times: tuple[int, ...]) -> str:
    """Make the descriptor of a node's rows at several times side by side."""
    terms = [name if time == 0 else f"Offset({name}, {time})" for time in times]
    return terms[0] if len(terms) == 1 else f"Append({', '.join(terms)})"


def _fixed(token: str, values: Floats) -> _Body:
    def body(writer: KaldiWriter) -> None:
        writer.token(token)
        writer.vector(values)

    return body


def _fixed_affine(weight: Floats, bias: Floats) -> _Body:
    def body(writer: KaldiWriter) -> None:
        writer.token("<LinearParams>")
        writer.matrix(weight)
        writer.token("<BiasParams>")
        writer.vector(bias)

    return body


def _affine(weight: Floats, bias: Floats) -> _Body:
    def body(writer: KaldiWriter) -> None:
        writer.token("<LearningRate>")
        writer.number(_LEARNING_RATE)
        writer.token("<LinearParams>")
        writer.matrix(weight)
        writer.token("<BiasParams>")
        writer.vector(bias)
        writer.token("<IsGradient>")
        writer.boolean(False)

    return body


def _linear(weight: Floats) -> _Body:
    def body(writer: KaldiWriter) -> None:
        writer.token("<LearningRate>")
        writer.number(_LEARNING_RATE)
        writer.token("<Params>")
        writer.matrix(weight)
        # Kaldi's defaults, for those who train the network further.
        writer.token("<UseNaturalGradient>")
        writer.boolean(True)
        writer.token("<RankInOut>")
        outputs, inputs = weight.shape
        writer.integer(min(20, (inputs + 1) // 2), min(80, (outputs + 1) // 2))
        writer.token("<Alpha>")
        writer.number(4.0)
        writer.token("<NumSamplesHistory>")
        writer.number(2000.0)
        writer.token("<UpdatePeriod>")
        writer.integer(4)

    return body


def _no_op(dim: int) -> _Body:
    def body(writer: KaldiWriter) -> None:
        writer.token("<Dim>")
        writer.integer(dim)
        writer.token("<BackpropScale>")
        writer.number(1.0)

    return body


def _nonlinear(dim: int) -> _Body:
    def body(writer: KaldiWriter) -> None:
        writer.token("<Dim>")
        writer.integer(dim)
        for token in ("<ValueAvg>", "<DerivAvg>"):
            writer.token(token)
            writer.vector(_NO_VALUES)
        writer.token("<Count>")
        writer.number(0.0)

    return body
