"""Exported networks, read again by parsers of their own and run in numpy."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from asr_hf.data.frame_batch import FrameBatch
from asr_hf.kaldi.network import network_of
from asr_hf.kaldi.nnet1 import write_nnet1
from asr_hf.kaldi.nnet3 import nnet3_config, write_nnet3, write_nnet3_acoustic_model
from asr_hf.kaldi.onnx_model import write_onnx
from asr_hf.kaldi.writer import KaldiWriter
from asr_hf.models.acoustic import AcousticModel
from asr_hf.models.dnn import DNN
from asr_hf.models.normalisation import batch_layers
from asr_hf.models.tdnn import TDNN
from asr_hf.models.tdnnf import TDNNF
from asr_hf.runtime.errors import InputError

DIM, PDFS = 4, 6
SQUASH: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Tanh": np.tanh,
    "RectifiedLinear": lambda x: np.maximum(x, 0),
}


def trained(model: AcousticModel) -> AcousticModel:
    """A model with every buffer and parameter away from its default."""
    generator = torch.Generator().manual_seed(3)
    model.flat.copy_(torch.randn(model.flat.shape, generator=generator) * 0.7)
    window = model.input_dim
    model.set_input_statistics(
        torch.randn(window, generator=generator) * 3, torch.rand(window, generator=generator) + 0.5
    )
    model.set_log_priors(torch.arange(1.0, PDFS + 1))
    for layer in batch_layers(model).values():
        layer.mean.copy_(torch.randn(layer.mean.shape, generator=generator))
        layer.variance.copy_(torch.rand(layer.mean.shape, generator=generator) + 0.1)
    return model


def dnn(
    activation: str = "sigmoid", left: int = 2, right: int = 1, normalisation: str = "none"
) -> AcousticModel:
    sizes = [7, 5]
    return trained(
        DNN(
            feature_dim=DIM,
            num_pdfs=PDFS,
            hidden_sizes=sizes,
            activation=activation,
            normalisation=normalisation,
            left=left,
            right=right,
        )
    )


def tdnn(activation: str = "relu", normalisation: str = "none") -> AcousticModel:
    context = [[-1, 0, 2], [-3, 3]]
    return trained(
        TDNN(
            feature_dim=DIM,
            num_pdfs=PDFS,
            context=context,
            hidden_sizes=[6],
            activation=activation,
            normalisation=normalisation,
        )
    )


def tdnnf(normalisation: str = "rms", **changes: object) -> AcousticModel:
    settings: dict[str, object] = {
        "strides": [1, 0, 2],
        "hidden_size": 6,
        "bottleneck_size": 3,
        "prefinal_size": 4,
        "normalisation": normalisation,
    }
    model = trained(TDNNF(feature_dim=DIM, num_pdfs=PDFS, **settings | changes))  # type: ignore[arg-type]
    # Many layers without a norm make logits of which float32 has few digits.
    model.flat.mul_(0.5)
    return model


def utterance(frames: int) -> np.ndarray:
    return np.random.default_rng(frames).normal(1, 3, (frames, DIM)).astype(np.float32)


@torch.no_grad()
def log_posteriors(model: AcousticModel, features: np.ndarray) -> np.ndarray:
    count = len(features)
    batch = FrameBatch(
        torch.from_numpy(features),
        torch.zeros(count, dtype=torch.int64),
        torch.zeros(count, dtype=torch.int64),
        torch.full((count,), count),
    )
    return torch.log_softmax(model(model.inputs(batch)), 1).numpy()


def numbers(text: str) -> np.ndarray:
    return np.array(text.split(), dtype=np.float64)


def run_nnet1(text: str, x: np.ndarray) -> np.ndarray:
    """Forward through nnet1 text: <Marker> out in [values] ..."""
    body = re.fullmatch(r"<Nnet>\s*(.*?)</Nnet>\s*", text, re.DOTALL)
    assert body
    for marker, out, into, rest in re.findall(
        r"<(\w+)> (\d+) (\d+)\s*\n((?:\s*\[[^\]]*\]\s*)*)", body[1]
    ):
        blocks = re.findall(r"\[([^\]]*)\]", rest)
        assert x.shape[1] == int(into), marker
        if marker == "Splice":
            at = np.arange(len(x))[:, None] + numbers(blocks[0]).astype(int)
            x = x[at.clip(0, len(x) - 1)].reshape(len(x), -1)
        elif marker == "AddShift":
            x = x + numbers(blocks[0])
        elif marker == "Rescale":
            x = x * numbers(blocks[0])
        elif marker == "AffineTransform":
            rows = [numbers(line) for line in blocks[0].strip().split("\n")]
            x = x @ np.array(rows).T + numbers(blocks[1])
        elif marker == "Softmax":
            x = np.exp(x - x.max(1, keepdims=True))
            x = x / x.sum(1, keepdims=True)
        else:
            x = SQUASH[marker](x)
        assert x.shape[1] == int(out), marker
    return x


class Nnet3:
    """Evaluates the nodes of nnet3 text at any time, as Kaldi's descriptors say."""

    def __init__(self, text: str, features: np.ndarray) -> None:
        head, rest = text.split("\n\n", 1)
        mark, *lines = head.split("\n")
        assert mark == "<Nnet3> "
        self.features = features
        self.nodes = dict(re.findall(r"^component-node name=(\S+) .*input=(.*)$", head, re.M))
        self.component = dict(re.findall(r"^component-node name=(\S+) component=(\S+)", head, re.M))
        output = re.fullmatch(r"output-node name=output input=(\S+) objective=linear", lines[-1])
        assert output
        self.output = output[1]
        count = re.match(r"<NumComponents> (\d+) \n", rest)
        found = re.findall(r"<ComponentName> (\S+) <(\w+)>(.*?)</\2> \n", rest, re.DOTALL)
        assert count and len(found) == int(count[1])
        self.parameters = {name: (kind, body) for name, kind, body in found}
        self.known: dict[tuple[str, int], np.ndarray] = {}

    def at(self, descriptor: str, time: int) -> np.ndarray:
        if found := re.fullmatch(r"Sum\(Scale\((\S+), (\S+)\), (\S+)\)", descriptor):
            return float(found[1]) * self.at(found[2], time) + self.at(found[3], time)
        if found := re.fullmatch(r"Append\((.*)\)", descriptor):
            parts = re.findall(r"Offset\([^)]*\)|[\w.-]+", found[1])
            return np.concatenate([self.at(part, time) for part in parts])
        if found := re.fullmatch(r"Offset\((\S+), (-?\d+)\)", descriptor):
            return self.at(found[1], time + int(found[2]))
        if descriptor == "input":
            return self.features[min(max(time, 0), len(self.features) - 1)].astype(np.float64)
        key = descriptor, time
        if key not in self.known:
            x = self.at(self.nodes[descriptor], time)
            self.known[key] = self.through(self.component[descriptor], x)
        return self.known[key]

    def through(self, name: str, x: np.ndarray) -> np.ndarray:
        kind, body = self.parameters[name]
        blocks = re.findall(r"<(\w+)>\s+\[([^\]]*)\]", body)
        kind = kind.removesuffix("Component")
        if kind == "FixedBias":
            return x + numbers(blocks[0][1])
        if kind == "FixedScale":
            return x * numbers(blocks[0][1])
        if kind == "FixedAffine":
            rows = [numbers(line) for line in blocks[0][1].strip().split("\n")]
            return np.array(rows) @ x + numbers(blocks[1][1])
        if kind == "Normalize":
            told = re.fullmatch(r"\s*<InputDim> (\d+) <TargetRms> (\S+) <AddLogStddev> F\s*", body)
            assert told and int(told[1]) == len(x)
            square = (x @ x) / (len(x) * float(told[2]) ** 2)
            return x / np.sqrt(max(square, 2.0**-66))
        if kind == "Linear":
            (params,) = blocks
            told = re.search(
                r"\]\s*<UseNaturalGradient> T <RankInOut> (\d+) (\d+) <Alpha> 4 ", body
            )
            assert params[0] == "Params" and told and int(told[1]) <= 20
            rows = [numbers(line) for line in params[1].strip().split("\n")]
            return np.array(rows) @ x
        if kind == "NoOp":
            told = re.fullmatch(r"\s*<Dim> (\d+) <BackpropScale> 1 \s*", body)
            assert told and int(told[1]) == len(x)
            return x
        if kind == "Affine":
            assert [b[0] for b in blocks] == ["LinearParams", "BiasParams"]
            rows = [numbers(line) for line in blocks[0][1].strip().split("\n")]
            return np.array(rows) @ x + numbers(blocks[1][1])
        assert int(re.search(r"<Dim> (\d+)", body)[1]) == len(x)  # type: ignore[index]
        if kind == "LogSoftmax":
            return x - x.max() - np.log(np.exp(x - x.max()).sum())
        return SQUASH[kind](x)

    def run(self) -> np.ndarray:
        return np.stack([self.at(self.output, t) for t in range(len(self.features))])


@pytest.mark.parametrize("normalisation", ["none", "batch"])
@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
@pytest.mark.parametrize("context", [(2, 1), (0, 0)])
def test_nnet1_gives_the_same_outputs(
    activation: str, context: tuple[int, int], normalisation: str
) -> None:
    model, x = dnn(activation, *context, normalisation), utterance(9)
    writer = KaldiWriter(binary=False)
    write_nnet1(network_of(model), writer)
    found = run_nnet1(writer.contents().decode(), x.astype(np.float64))
    np.testing.assert_allclose(found, np.exp(log_posteriors(model, x)), atol=1e-5)


MODELS = {
    "dnn": dnn,
    "dnn-relu": lambda: dnn("relu", 0, 3),
    "tdnn": tdnn,
    "tdnn-sigmoid": lambda: tdnn("sigmoid"),
    "dnn-rms": lambda: dnn("relu", normalisation="rms"),
    "dnn-layer": lambda: dnn("tanh", normalisation="layer"),
    "dnn-batch": lambda: dnn("sigmoid", normalisation="batch"),
    "tdnn-rms": lambda: tdnn("sigmoid", "rms"),
    "tdnn-layer": lambda: tdnn("relu", "layer"),
    "tdnn-batch": lambda: tdnn("relu", "batch"),
    **{f"tdnnf-{kind}": partial(tdnnf, kind) for kind in ("none", "rms", "layer", "batch")},
    "tdnnf-plain": partial(tdnnf, bypass=0.0, strides=[]),
}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("frames", [1, 11])
def test_nnet3_gives_the_same_outputs(make: Callable[[], AcousticModel], frames: int) -> None:
    model, x = make(), utterance(frames)
    writer = KaldiWriter(binary=False)
    write_nnet3(network_of(model), writer)
    found = Nnet3(writer.contents().decode(), x).run()
    np.testing.assert_allclose(found, log_posteriors(model, x), rtol=1e-5, atol=1e-5)


def test_nnet3_config_and_acoustic_model() -> None:
    network = network_of(tdnn())
    assert network.context == (4, 5)
    lines = nnet3_config(network).splitlines()
    assert "component name=affine1 type=AffineComponent input-dim=12 output-dim=6" in lines
    assert any("Append(Offset(scale, -1), scale, Offset(scale, 2))" in line for line in lines)
    writer = KaldiWriter(binary=False)
    write_nnet3_acoustic_model(network, writer)
    tail = re.search(
        r"<LeftContext> 4 <RightContext> 5 <Priors>  \[(.*)\]\n$", writer.contents().decode()
    )
    assert tail
    np.testing.assert_allclose(numbers(tail[1]), np.arange(1, 7) / 21, rtol=1e-6)


def test_nnet3_config_of_a_factorised_network() -> None:
    network = network_of(tdnnf())
    assert network.context == (4, 4)
    lines = nnet3_config(network).splitlines()
    for name, described in {
        "linear2": "type=LinearComponent input-dim=12 output-dim=3",
        "affine2": "type=AffineComponent input-dim=6 output-dim=6",
        "bypass2": "type=NoOpComponent dim=6",
        "output.linear": "type=LinearComponent input-dim=6 output-dim=4",
    }.items():
        assert f"component name={name} {described}" in lines
    nodes = dict(line.split(" input=") for line in lines if line.startswith("component-node"))
    for name, source in {
        "linear2": "Append(Offset(normalise1, -1), normalise1)",
        "affine2": "Append(linear2, Offset(linear2, 1))",
        "bypass2": "Sum(Scale(0.66, normalise1), normalise2)",
        "linear3": "bypass2",
        "bypass3": "Sum(Scale(0.66, bypass2), normalise3)",
        "output.linear": "normalise5",
    }.items():
        assert nodes[f"component-node name={name} component={name}"] == source


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_onnx_gives_the_same_outputs(tmp_path: Path, make: Callable[[], AcousticModel]) -> None:
    runtime = pytest.importorskip("onnxruntime")
    model = make()
    write_onnx(tmp_path / "model.onnx", network_of(model), {"corpus": "toy"})
    session = runtime.InferenceSession(str(tmp_path / "model.onnx"))
    assert session.get_modelmeta().custom_metadata_map == {"corpus": "toy"}
    for frames in (1, 3, 12):
        x = utterance(frames)
        right = log_posteriors(model, x)
        posteriors, likelihoods = session.run(
            ["log_posteriors", "log_likelihoods"], {"features": x}
        )
        np.testing.assert_allclose(posteriors, right, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(
            likelihoods, right - model.log_priors.numpy(), rtol=1e-5, atol=1e-5
        )


def test_what_nnet1_cannot_hold_is_refused() -> None:
    for model, what in (
        (tdnn(), "several times"),
        (tdnnf(), "factorised layers"),
        (tdnnf(context=[0], strides=[0], normalisation="none"), "factorised layers"),
        (dnn("relu"), "relu"),
        (dnn(normalisation="rms"), r"model\.normalisation=rms"),
        (dnn(normalisation="layer"), r"model\.normalisation=layer"),
    ):
        with pytest.raises(InputError, match=what):
            write_nnet1(network_of(model), KaldiWriter(binary=False))
