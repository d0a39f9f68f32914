"""The TDNN against its definition, frame by frame, and against torch's convolution."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Generator, Tensor

from asr_hf.data.frame_batch import FrameBatch
from asr_hf.models.dnn import DNN
from asr_hf.models.tdnn import TDNN
from asr_hf.runtime.errors import InputError

PEDDINTI = [[-2, -1, 0, 1, 2], [-1, 2], [-3, 3], [-7, 2], [0]]
DIM, PDFS = 3, 4


def make_tdnn(**changes: object) -> TDNN:
    defaults: dict[str, object] = {
        "feature_dim": DIM,
        "num_pdfs": PDFS,
        "context": [[-1, 0, 1], [-3, 2]],
        "hidden_sizes": [6, 5],
        "seed": 3,
    }
    model = TDNN(**{**defaults, **changes}).double()  # type: ignore[arg-type]
    generator = Generator().manual_seed(1)
    model.set_input_statistics(
        torch.randn(DIM, generator=generator), torch.rand(DIM, generator=generator) + 0.5
    )
    return model


def make_batch(lengths: Sequence[int], dtype: torch.dtype = torch.float64) -> FrameBatch:
    counts = torch.tensor(lengths)
    ends = counts.cumsum(0)
    frames = torch.randn(int(ends[-1]), DIM, generator=Generator().manual_seed(7)).to(dtype)
    return FrameBatch(
        frames,
        torch.zeros(0, dtype=torch.int64),
        (ends - counts).repeat_interleave(counts),
        ends.repeat_interleave(counts),
    )


def by_definition(model: TDNN, utterance: Tensor) -> Tensor:
    """Logits [F, pdfs] of one utterance [F, D]: every activation by itself, from its window."""
    activate = getattr(torch, model.activation)
    *hidden, output = model.linear_layers()

    @functools.cache
    def value(depth: int, time: int) -> Tensor:
        if depth == 0:
            frame = utterance[min(max(time, 0), len(utterance) - 1)]
            return (frame - model.input_mean) * model.input_scale
        layer = hidden[depth - 1]
        below = [value(depth - 1, time + at) for at in model.context[depth - 1]]
        return activate(layer.weight @ torch.cat(below) + layer.bias)

    return torch.stack(
        [output.weight @ value(len(hidden), t) + output.bias for t in range(len(utterance))]
    )


offsets = st.tuples(
    st.integers(-4, 0), st.lists(st.integers(-4, 4), max_size=2), st.integers(0, 4)
).map(lambda x: sorted({x[0], x[2], *(t for t in x[1] if x[0] <= t <= x[2])}))


@settings(max_examples=30, deadline=None)
@given(
    context=st.lists(offsets, min_size=1, max_size=4),
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=5),
    activation=st.sampled_from(["sigmoid", "relu", "tanh"]),
    data=st.data(),
)
def test_batched_alone_or_by_index_logits_follow_the_definition(
    context: list[list[int]], lengths: list[int], activation: str, data: st.DataObject
) -> None:
    model = make_tdnn(context=context, hidden_sizes=[4], activation=activation)
    batch = make_batch(lengths)
    with torch.no_grad():
        expected = torch.cat([by_definition(model, u) for u in batch.features.split(lengths)])
        torch.testing.assert_close(model(model.inputs(batch)), expected, rtol=1e-12, atol=1e-12)
        some = data.draw(st.lists(st.integers(0, sum(lengths) - 1), min_size=1, max_size=8))
        index = torch.tensor(some)
        found = model(model.inputs(batch, index))
        torch.testing.assert_close(found, expected[index], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "context", [[[-2, -1, 0, 1, 2], [-3, 0, 3], [-4, 0]], [[-1, 2], [-3, 3], [-7, 2]]]
)
def test_layers_are_dilated_convolutions(context: list[list[int]]) -> None:
    model = make_tdnn(context=context, hidden_sizes=[6, 5, 4], activation="tanh")
    (utterance,) = batches = make_batch([30]).features.split(30)
    signal = ((utterance - model.input_mean) * model.input_scale).T[None]
    value = torch.nn.functional.pad(signal, (model.left, model.right), mode="replicate")
    *hidden, output = model.linear_layers()
    for layer, times in zip(hidden, context, strict=True):
        kernel = layer.weight.view(layer.out_features, len(times), -1).transpose(1, 2)
        dilation = times[1] - times[0]
        convolved = torch.nn.functional.conv1d(value, kernel, layer.bias, dilation=dilation)
        value = torch.tanh(convolved)
    expected = torch.nn.functional.conv1d(value, output.weight[:, :, None], output.bias)[0].T
    found = model(model.inputs(make_batch([len(batches[0])])))
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_context_of_the_layers_adds_up() -> None:
    model = make_tdnn(context=PEDDINTI, hidden_sizes=[4])
    assert (model.left, model.right) == (13, 9)
    assert model.hidden_sizes == [4] * 5
    assert [layer.in_features for layer in model.linear_layers()] == [15, 8, 8, 8, 4, 4]
    assert model.input_mean.shape == (DIM,)


def rows_computed(model: TDNN, call: Callable[[], Tensor]) -> list[int]:
    rows: list[int] = []
    hooks = [
        layer.register_forward_hook(lambda _m, _a, out: rows.append(len(out)))
        for layer in model.linear_layers()
    ]
    call()
    for hook in hooks:
        hook.remove()
    return rows


def test_a_single_frame_takes_only_the_times_it_needs() -> None:
    """Frames 7 back and 2 ahead; then those shifted by ±3; then by -1 and 2, of which two meet."""
    model = make_tdnn(context=PEDDINTI, hidden_sizes=[4])
    batch = make_batch([40, 40])
    index = torch.tensor([0, 45, 79])
    found = rows_computed(model, lambda: model(model.inputs(batch, index)))
    assert found == [3 * 7, 3 * 4, 3 * 2, 3, 3, 3]


def test_frames_of_an_utterance_share_what_their_windows_have_in_common() -> None:
    model = make_tdnn(context=PEDDINTI, hidden_sizes=[4])
    found = rows_computed(model, lambda: model(model.inputs(make_batch([500]))))
    assert found == [518, 515, 509, 500, 500, 500]


def test_half_precision_features_are_cast_before_they_are_normalised() -> None:
    model = make_tdnn().float()
    model.set_input_statistics(torch.full((DIM,), 1000.0), torch.full((DIM,), 1e-3))
    batch = make_batch([5], torch.float16)
    inputs = model.inputs(batch)
    assert inputs.features.dtype == torch.float32
    wide = FrameBatch(batch.features.double(), batch.labels, batch.starts, batch.ends)
    expected = by_definition(model.double(), wide.features)
    torch.testing.assert_close(model.float()(inputs).double(), expected, rtol=1e-4, atol=1e-4)


def test_one_row_a_layer_is_the_dnn_of_the_same_seed() -> None:
    sizes: dict[str, object] = {"feature_dim": DIM, "num_pdfs": PDFS, "hidden_sizes": [6, 5]}
    dnn = DNN(**sizes, seed=3).double()  # type: ignore[arg-type]
    tdnn = TDNN(**sizes, context=[[0], [0]], seed=3).double()  # type: ignore[arg-type]
    batch = make_batch([4, 1, 3])
    assert torch.equal(dnn.flat, tdnn.flat)
    torch.testing.assert_close(tdnn(tdnn.inputs(batch)), dnn(dnn.inputs(batch)))


def test_a_sigmoid_network_starts_as_the_tanh_network() -> None:
    sigmoid, tanh = (make_tdnn(activation=name) for name in ("sigmoid", "tanh"))
    batch = make_batch([6, 9])
    torch.testing.assert_close(
        sigmoid(sigmoid.inputs(batch)), tanh(tanh.inputs(batch)), rtol=1e-5, atol=1e-5
    )


def test_posteriors_start_near_the_priors() -> None:
    model = make_tdnn(context=PEDDINTI, hidden_sizes=[50])
    counts = torch.tensor([1.0, 10.0, 100.0, 1000.0])
    model.set_log_priors(counts)
    model.start_at_priors()
    mean = model(model.inputs(make_batch([500]))).detach().softmax(1).mean(0)
    torch.testing.assert_close(mean, (counts / counts.sum()).double(), atol=0.05, rtol=0.2)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"context": []}, "no layers"),
        ({"context": [[-1, 1], []]}, r"model\.context"),
        ({"context": [[1, -1], [0]]}, r"model\.context"),
        ({"context": [[-1, -1, 0], [0]]}, r"model\.context"),
        ({"context": [[-3, -1], [0]]}, r"model\.context"),
        ({"hidden_sizes": [6, 5, 4]}, "2 sizes"),
        ({"hidden_sizes": []}, "2 sizes"),
        ({"hidden_sizes": [0]}, r"model\.hidden_sizes"),
        ({"activation": "swish"}, r"model\.activation"),
    ],
)
def test_settings_that_do_not_fit_are_input_errors(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_tdnn(**change)
