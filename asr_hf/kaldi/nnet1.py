"""Writes networks in the text form of Kaldi's nnet1 (`nnet-forward`)."""

from __future__ import annotations

from asr_hf.kaldi.network import Floats, Network
from asr_hf.kaldi.writer import KaldiWriter
from asr_hf.runtime.errors import InputError

_ACTIVATIONS = {"sigmoid": "<Sigmoid>", "tanh": "<Tanh>"}


def write_nnet1(network: Network, writer: KaldiWriter) -> None:
    """Write a DNN: splicing, input normalisation, affine layers and softmax.

    Learning rates are left out: every version of nnet1 has defaults for them.

    Raises:
        InputError: nnet1 has no component for a layer of the network.
    """
    if any(layer.bottleneck is not None or layer.bypass for layer in network.layers):
        raise InputError(
            "nnet1 has no factorised layers: no maps without a bias, nothing that goes by a layer",
            expected="a DNN",
            remedy="asr-hf export nnet3 or onnx takes a factorised TDNN",
        )
    if any(len(layer.times) > 1 for layer in network.layers):
        raise InputError(
            "nnet1 has no layers over several times",
            expected="a DNN",
            remedy="asr-hf export nnet3 or onnx takes a TDNN",
        )
    for layer in network.layers:
        if layer.activation not in (None, *_ACTIVATIONS):
            raise InputError(
                f"nnet1 has no plain component for {layer.activation} units",
                expected="sigmoid or tanh",
                remedy="asr-hf export nnet3 or onnx takes them",
            )
        if layer.normalisation is not None:
            raise InputError(
                f"nnet1 has no component for model.normalisation={layer.normalisation}",
                expected="none, or batch, which becomes part of the affine layers",
                remedy="asr-hf export nnet3 or onnx takes it",
            )
    writer.token("<Nnet>")
    writer.line_end()
    if network.splice != (0,):
        _begin(writer, "<Splice>", len(network.mean), network.feature_dim)
        writer.integers(network.splice)
    for name, values in (("<AddShift>", -network.mean), ("<Rescale>", network.scale)):
        _begin(writer, name, len(values), len(values))
        writer.vector(values)
    for layer in network.layers:
        _affine(writer, layer.weight, layer.bias)
        outputs = len(layer.bias)
        name = "<Softmax>" if layer.activation is None else _ACTIVATIONS[layer.activation]
        _begin(writer, name, outputs, outputs)
    writer.token("</Nnet>")
    writer.line_end()


def _affine(writer: KaldiWriter, weight: Floats, bias: Floats) -> None:
    _begin(writer, "<AffineTransform>", *weight.shape)
    writer.matrix(weight)
    writer.vector(bias)


def _begin(writer: KaldiWriter, name: str, outputs: int, inputs: int) -> None:
    writer.token(name)
    writer.integer(outputs, inputs)
    writer.line_end()
