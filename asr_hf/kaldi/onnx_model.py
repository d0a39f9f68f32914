"""Writes networks as ONNX graphs, for any runtime that knows the format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from asr_hf.kaldi.network import Layer, Network
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import atomic_path

# Old enough for every runtime in use.
_OPSET, _IR_VERSION = 13, 8
_ACTIVATIONS = {"sigmoid": "Sigmoid", "tanh": "Tanh", "relu": "Relu"}
_END = np.iinfo(np.int64).max


def write_onnx(path: Path, network: Network, about: dict[str, str]) -> None:
    """Write a graph from one utterance's frames to its scores.

    Input `features` [frames, feature_dim] float32: normalised by CMVN, unspliced. Outputs
    `log_posteriors` and `log_likelihoods` (posteriors over priors) [frames, pdfs], of every k-th
    frame where the network emits these.

    Args:
        path: the file.
        network: the network.
        about: metadata to keep in the file.

    Raises:
        InputError: the package onnx is not installed.
        RunError: the disk is full or the folder read-only.
    """
    graph = _Graph(_import_onnx())
    left, right = network.context
    rows = graph.pad("features", left, right)
    rows = graph.window(rows, network.splice)
    rows = graph.node("Sub", rows, graph.constant(network.mean))
    rows = graph.node("Mul", rows, graph.constant(network.scale))
    for layer in network.layers:
        rows = _layer(graph, rows, layer)
    if network.subsampling > 1:
        rows = graph.every(rows, network.subsampling)
    posteriors = graph.node("LogSoftmax", rows, axis=1, output="log_posteriors")
    graph.node("Sub", posteriors, graph.constant(network.log_priors), output="log_likelihoods")
    emitted = "frames" if network.subsampling == 1 else "emitted"
    model = graph.model(network.feature_dim, (emitted, network.num_pdfs), about)
    with atomic_path(path) as temporary:
        temporary.write_bytes(model.SerializeToString())


def _layer(graph: _Graph, below: str, layer: Layer) -> str:
    """Add a layer."""
    rows = below
    if layer.bottleneck is not None:
        rows = graph.window(rows, layer.bottleneck.times)
        rows = graph.node("Gemm", rows, graph.constant(layer.bottleneck.weight), transB=1)
    rows = graph.window(rows, layer.times)
    weight, bias = graph.constant(layer.weight), graph.constant(layer.bias)
    rows = graph.node("Gemm", rows, weight, bias, transB=1)
    if layer.activation is not None:
        rows = graph.node(_ACTIVATIONS[layer.activation], rows)
    rows = _normalised(graph, rows, layer)
    if not layer.bypass:
        return rows
    factor = graph.constant(np.array([layer.bypass], np.float32))
    beside = graph.node("Mul", graph.inner(below, *layer.context), factor)
    return graph.node("Add", rows, beside)


def _normalised(graph: _Graph, rows: str, layer: Layer) -> str:
    """Add the normalisation after a layer's activation."""
    if layer.normalisation is None:
        return rows
    if layer.mean is not None and layer.scale is not None:
        centred = graph.node("Sub", rows, graph.constant(layer.mean))
        return graph.node("Mul", centred, graph.constant(layer.scale))
    if layer.normalisation == "layer":
        rows = graph.node("Sub", rows, graph.node("ReduceMean", rows, axes=[1]))
    square = graph.node("ReduceMean", graph.node("Mul", rows, rows), axes=[1])
    epsilon = graph.constant(np.array([layer.epsilon], np.float32))
    return graph.node("Div", rows, graph.node("Sqrt", graph.node("Add", square, epsilon)))


class _Graph:
    """Collects nodes and constants of a graph."""

    def __init__(self, onnx: Any) -> None:
        self.onnx = onnx
        self.nodes: list[Any] = []
        self.constants: list[Any] = []

    def constant(self, values: NDArray[Any]) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append(self.onnx.numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(self, kind: str, *inputs: str, output: str = "", **settings: Any) -> str:
        output = output or f"rows{len(self.nodes)}"
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [output], **settings))
        return output

    def pad(self, rows: str, left: int, right: int) -> str:
        """Repeat the first frame `left` times and the last one `right` times."""
        pads = self.constant(np.array([left, 0, right, 0], np.int64))
        return self.node("Pad", rows, pads, mode="edge")

    def window(self, rows: str, times: tuple[int, ...]) -> str:
        """Put rows at several times side by side; the outer rows that lack neighbours go."""
        if times == (0,):
            return rows
        pieces = [self.inner(rows, time - times[0], times[-1] - time) for time in times]
        return self.node("Concat", *pieces, axis=1)

    def inner(self, rows: str, left: int, right: int) -> str:
        """Leave out so many of the first and of the last rows."""
        ends = (np.array([value], np.int64) for value in (left, -right if right else _END, 0))
        return self.node("Slice", rows, *map(self.constant, ends))

    def every(self, rows: str, step: int) -> str:
        """Take the first row and every `step`-th after it."""
        ends = (np.array([value], np.int64) for value in (0, _END, 0, step))
        return self.node("Slice", rows, *map(self.constant, ends))

    def model(self, features: int, scores: tuple[str, int], about: dict[str, str]) -> Any:
        helper, real = self.onnx.helper, self.onnx.TensorProto.FLOAT
        inputs = [helper.make_tensor_value_info("features", real, ["frames", features])]
        outputs = [
            helper.make_tensor_value_info(name, real, list(scores))
            for name in ("log_posteriors", "log_likelihoods")
        ]
        graph = helper.make_graph(self.nodes, "acoustic-model", inputs, outputs, self.constants)
        opset = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opset, producer_name="asr-hf")
        model.ir_version = _IR_VERSION
        helper.set_model_props(model, about)
        self.onnx.checker.check_model(model)
        return model


def _import_onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise InputError(
            "export onnx: the package onnx is not installed",
            remedy="pip install 'asr-hf[export]'",
        ) from error
    return onnx
