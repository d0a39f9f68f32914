"""The factorised TDNN against its definition, row by row."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import Generator, Tensor

from asr_hf.data.frame_batch import FrameBatch
from asr_hf.data.frame_draws import FrameDraws
from asr_hf.models.affine import other_parameters
from asr_hf.models.normalisation import batch_layers
from asr_hf.models.tdnnf import TDNNF
from asr_hf.runtime.errors import InputError
from asr_hf.training.model_file import load_model, save_model
from asr_hf.training.model_header import with_checksum

DIM, PDFS = 3, 4
SETTINGS: dict[str, object] = {
    "context": [-1, 0, 1],
    "strides": [1, 3],
    "hidden_size": 6,
    "bottleneck_size": 3,
    "prefinal_size": 2,
}


def make_tdnnf(**changes: object) -> TDNNF:
    """A model whose parameters and buffers are all away from their defaults."""
    made = {"feature_dim": DIM, "num_pdfs": PDFS, "seed": 3}
    model = TDNNF(**{**SETTINGS, **made, **changes}).double()  # type: ignore[arg-type]
    generator = Generator().manual_seed(1)
    model.flat.copy_(0.5 * torch.randn(model.flat.shape, generator=generator))
    mean, deviation = torch.randn(DIM, generator=generator), torch.rand(DIM, generator=generator)
    model.set_input_statistics(mean, deviation + 0.5)
    for layer in batch_layers(model).values():
        layer.mean.copy_(torch.randn(layer.mean.shape, generator=generator))
        layer.variance.copy_(torch.rand(layer.mean.shape, generator=generator) + 0.1)
    return model


def make_batch(lengths: list[int], draws: FrameDraws | None = None) -> FrameBatch:
    ends = np.cumsum(lengths)
    frames = torch.randn(sum(lengths), DIM, generator=Generator().manual_seed(7)).double()
    bounds = [torch.from_numpy(np.repeat(x, lengths)) for x in (ends - lengths, ends)]
    return FrameBatch(frames, torch.zeros(0, dtype=torch.int64), *bounds, draws=draws)


def normalised(model: TDNNF, depth: int, row: Tensor) -> Tensor:
    """A row after its normalisation, spelt out."""
    kind = model.normalisation.value
    if kind == "rms":
        return row / (row.square().mean() + 2.0**-66).sqrt()
    if kind == "layer":
        return (row - row.mean()) / (row.var(correction=0) + 1e-5).sqrt()
    if kind == "batch":
        layer = model.normalisers[depth]
        return (row - layer.mean) / (layer.variance + 1e-5).sqrt()
    return row


def by_definition(
    model: TDNNF, utterance: Tensor, strides: list[int], mask: Callable[[int, int], Tensor]
) -> Tensor:
    """Logits [F, pdfs] of one utterance [F, D]: every row of every layer by itself."""
    *hidden, output = model.linear_layers()
    maps = [layer.weight for layer in model.bottlenecks]
    last = len(hidden) - 1

    def inside(time: int) -> int:
        return min(max(time, 0), len(utterance) - 1)

    def times(depth: int) -> list[int]:
        stride = [*strides, 0][depth - 1]
        return [0, stride] if stride else [0]

    @functools.cache
    def narrow(depth: int, time: int) -> Tensor:
        below = [value(depth - 1, time - at) for at in reversed(times(depth))]
        return maps[depth - 1] @ torch.cat(below)

    @functools.cache
    def value(depth: int, time: int) -> Tensor:
        if depth == 0:
            frames = [utterance[inside(time + at)] for at in model.maps[0]]
            seen = torch.cat([(x - model.input_mean) * model.input_scale for x in frames])
        else:
            seen = torch.cat([narrow(depth, time + at) for at in times(depth)])
        row = torch.relu(hidden[depth].weight @ seen + hidden[depth].bias)
        row = normalised(model, depth, row) * mask(depth, inside(time))
        if 0 < depth < last:
            row = row + model.bypass * value(depth - 1, time)
        return row

    top = [maps[-1] @ value(last, time) for time in range(len(utterance))]
    return torch.stack([output.weight @ row + output.bias for row in top])


def whole(model: TDNNF, batch: FrameBatch, lengths: list[int], strides: list[int]) -> Tensor:
    """Logits of a batch by definition."""
    found, start = [], 0
    for length in lengths:

        def mask(depth: int, frame: int, start: int = start) -> Tensor:
            if batch.draws is None or not model.dropout:
                return torch.ones(())
            draws = batch.draws.at(torch.tensor([start + frame]), depth)
            return model.mask(depth, draws, model.flat)[0]

        utterance = batch.features[start : start + length]
        found.append(by_definition(model, utterance, strides, mask))
        start += length
    return torch.cat(found)


context = st.tuples(st.integers(-3, 0), st.integers(0, 3)).map(lambda x: sorted({*x, 0}))


@settings(max_examples=40, deadline=None)
@given(
    seen=context,
    strides=st.lists(st.integers(0, 4), max_size=3),
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    kind=st.sampled_from(["none", "rms", "layer", "batch"]),
    every=st.integers(1, 3),
    dropout=st.sampled_from([0.0, 0.4]),
    data=st.data(),
)
def test_batched_by_index_or_at_every_third_frame_logits_follow_the_definition(
    seen: list[int],
    strides: list[int],
    lengths: list[int],
    kind: str,
    every: int,
    dropout: float,
    data: st.DataObject,
) -> None:
    model = make_tdnnf(
        context=seen, strides=strides, normalisation=kind, subsampling=every, dropout=dropout
    )
    batch = make_batch(lengths, FrameDraws(5))
    with torch.no_grad():
        expected = whole(model, batch, lengths, strides)
        found = model(model.inputs(batch))
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)
        some = data.draw(st.lists(st.integers(0, sum(lengths) - 1), max_size=8))
        starts = torch.tensor(lengths).cumsum(0).tolist()
        first = {start: data.draw(st.integers(0, every - 1)) for start in [0, *starts]}
        emitted, shifted = (
            [f for f in range(sum(lengths)) if (f - s(int(batch.starts[f]))) % every == 0]
            for s in (lambda start: start, lambda start: start + first[start])
        )
        for frames in (some, emitted, emitted[::-1], shifted):
            index = torch.tensor(frames, dtype=torch.int64)
            found = model(model.inputs(batch, index))
            torch.testing.assert_close(found, expected[index], rtol=1e-11, atol=1e-11)


def rows_computed(model: TDNNF, call: Callable[[], Tensor]) -> tuple[list[int], list[int]]:
    """Rows of the bottlenecks and of the layers."""
    found: tuple[list[int], list[int]] = ([], [])
    hooks = [
        layer.register_forward_hook(lambda _m, _a, out, r=rows: r.append(len(out)))
        for rows, group in zip(found, (model.bottlenecks, model.linear_layers()), strict=True)
        for layer in group
    ]
    call()
    for hook in hooks:
        hook.remove()
    return found


def test_layers_run_at_every_third_frame_as_soon_as_their_strides_allow() -> None:
    """Of 500 frames 167 are emitted; below the lowest layer of stride 1 all times are needed."""
    model = make_tdnnf(strides=[1, 1, 0, 3, 3], subsampling=3)
    batch, index = make_batch([500]), torch.arange(0, 500, 3)
    narrow, hidden = rows_computed(model, lambda: model(model.inputs(batch, index)))
    assert hidden == [515, 513, 171, 171, 169, 167, 167, 167]
    assert narrow == [514, 512, 171, 170, 168, 167, 167]
    _, dense = rows_computed(model, lambda: model(model.inputs(batch)))
    assert dense == [516, 514, 512, 512, 506, 500, 500, 500]


def test_a_single_frame_takes_only_the_times_it_needs() -> None:
    model = make_tdnnf(strides=[1, 1, 0, 3, 3])
    batch, index = make_batch([40, 40]), torch.tensor([0, 45])
    narrow, hidden = rows_computed(model, lambda: model(model.inputs(batch, index)))
    assert hidden == [2 * n for n in (17, 15, 5, 5, 3, 1, 1, 1)]
    assert narrow == [2 * n for n in (16, 14, 5, 4, 2, 1, 1)]


def test_utterances_have_their_masks_beside_any_others() -> None:
    model = make_tdnnf(dropout=0.4)
    together = make_batch([9, 4, 14], FrameDraws(5))
    alone = make_batch([4], FrameDraws(5, torch.arange(9, 13)))
    alone = replace(alone, features=together.features[9:13])
    found = model(model.inputs(together))[9:13]
    torch.testing.assert_close(found, model(model.inputs(alone)))
    plain = model(model.inputs(make_batch([9, 4, 14])))[9:13]
    assert not torch.allclose(found, plain)


@pytest.mark.parametrize("kind", ["none", "rms", "layer", "batch"])
@pytest.mark.parametrize("frames", [1, 11])
def test_its_description_gives_the_logits_of_forward(kind: str, frames: int) -> None:
    model, batch = make_tdnnf(normalisation=kind, strides=[1, 0, 2]), make_batch([frames])
    description = model.description
    assert description is not None and description.context == (model.left, model.right) == (4, 4)
    described = description.logits(batch.features, model.normalise)
    torch.testing.assert_close(described, model(model.inputs(batch)))
    assert model.perceptron() is None
    flat = make_tdnnf(strides=[0], context=[0], bypass=0.0)
    assert flat.perceptron() is None


def test_batch_statistics_are_those_of_the_rows_that_logits_need() -> None:
    """Two utterances: the rows of windows across their border count nowhere."""
    model, sums = make_tdnnf(normalisation="batch", subsampling=3), {}
    for lengths, index in (([8, 5], None), ([8, 5], torch.arange(13)), ([8, 5], [0, 3, 6, 8, 11])):
        batch = make_batch(lengths)
        some = torch.tensor(index) if isinstance(index, list) else index
        for name, layer in batch_layers(model).items():
            with layer.measuring() as measured, torch.no_grad():
                model(model.inputs(batch, some))
            sums.setdefault(name, []).append(measured.clone())
    for name, (dense, listed, _) in sums.items():
        torch.testing.assert_close(dense, listed, msg=name)
    counts = [int(x[-1][0]) for x in sums.values()]
    # Every third frame of 8 and of 5: 3 and 2 rows on top; below, 3 more times each by stride 3.
    assert counts[-2:] == [5, 5] and counts[1] == 5 + 2 * 2 and counts[0] == 3 * (5 + 2 * 2)


def test_fresh_bottlenecks_have_orthonormal_rows_and_output_biases_are_the_priors() -> None:
    sizes = {**SETTINGS, "hidden_size": 50, "feature_dim": DIM, "num_pdfs": PDFS}
    one, same, other = (TDNNF(**sizes, seed=seed) for seed in (3, 3, 4))  # type: ignore[arg-type]
    assert torch.equal(one.flat, same.flat) and not torch.equal(one.flat, other.flat)
    for layer in one.bottlenecks:
        gram = layer.weight @ layer.weight.T
        torch.testing.assert_close(gram, torch.eye(len(gram)), rtol=0, atol=1e-5)
    counts = torch.tensor([1.0, 10.0, 100.0, 1000.0])
    one.set_log_priors(counts)
    one.start_at_priors()
    torch.testing.assert_close(one.linear_layers()[-1].bias.detach(), (counts / 1111).log())


def test_all_parameters_belong_to_affine_layers_and_the_output_layer_is_the_last() -> None:
    model = make_tdnnf()
    layers = model.affine_layers()
    assert other_parameters(model, layers) == []
    assert [name for name, layer in layers.items() if not layer.bias] == [
        f"bottlenecks.{number}" for number in range(4)
    ]
    assert list(layers)[-1] == "layers.4" and list(layers.values())[-1].outputs == PDFS
    assert sum(layer.columns * layer.outputs for layer in layers.values()) == model.flat.numel()


def test_the_constraint_is_on_the_bottlenecks_with_the_strength_of_the_settings() -> None:
    assert make_tdnnf(semi_orthogonal=0.0).constraint() is None
    model = make_tdnnf(semi_orthogonal=0.7)
    constraint = model.constraint()
    assert constraint is not None and constraint.strength == 0.7
    found = [layer.views(model.flat)[0] for layer in constraint.layers]
    for weight, layer in zip(found, model.bottlenecks, strict=True):
        assert torch.equal(weight, layer.weight)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"context": []}, r"model\.context"),
        ({"context": [1, 2]}, r"model\.context"),
        ({"strides": [1, -1]}, r"model\.strides=\[1, -1\]"),
        ({"hidden_size": 0}, r"model\.hidden_size=0"),
        ({"bottleneck_size": 0}, r"model\.bottleneck_size=0"),
        ({"bottleneck_size": 7}, r"model\.bottleneck_size=7"),
        ({"prefinal_size": 7}, r"model\.prefinal_size=7"),
        ({"bypass": 1.5}, r"model\.bypass=1\.5"),
        ({"bypass": float("nan")}, r"model\.bypass=nan"),
        ({"semi_orthogonal": -0.1}, r"model\.semi_orthogonal=-0\.1"),
        ({"semi_orthogonal": float("inf")}, r"model\.semi_orthogonal=inf"),
        ({"normalisation": "group"}, r"model\.normalisation"),
        ({"subsampling": 0}, r"model\.subsampling=0"),
        ({"dropout": 1.0}, r"model\.dropout=1\.0"),
    ],
)
def test_settings_that_do_not_fit_are_input_errors(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_tdnnf(**change)


@settings(max_examples=30, deadline=None)
@given(
    strides=st.lists(st.integers(0, 3), max_size=4),
    hidden=st.integers(3, 9),
    seen=context,
)
def test_settings_of_a_file_ask_for_no_more_than_it_holds(
    strides: list[int], hidden: int, seen: list[int]
) -> None:
    changes = {"strides": strides, "hidden_size": hidden, "context": seen}
    held = make_tdnnf(**changes).flat.numel()
    TDNNF.check_size(SETTINGS | changes, DIM, PDFS, held)
    with pytest.raises(ValueError, match="layers of"):
        TDNNF.check_size(SETTINGS | changes, DIM, PDFS, held - 1)


@pytest.mark.parametrize(
    "wide",
    [
        {"strides": [600, 600]},
        {"strides": [0] * 1001},
        {"strides": [-1]},
        {"context": [-1001, 0]},
        {"context": [0] * 1001},
    ],
)
def test_wide_and_deep_networks_are_refused(wide: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="frames of context"):
        TDNNF.check_size(SETTINGS | wide, DIM, PDFS, 10**9)


def test_a_file_is_read_again_and_a_tampered_one_refused(tmp_path: Path) -> None:
    path, model = tmp_path / "m.safetensors", make_tdnnf().float()
    config = {"_target_": "asr_hf.models.tdnnf.TDNNF", **SETTINGS}
    save_model(path, model, config, {})
    loaded, _ = load_model(path)
    assert isinstance(loaded, TDNNF) and torch.equal(loaded.flat, model.flat)
    tensors = load_file(path)
    header = {"format": "asr-hf-model-2", "kind": "tdnnf"}
    for change, said in (
        ({"hidden_size": 10**6}, "layers of"),
        ({"strides": [10**6]}, "frames of context"),
        ({"hidden_size": 6.5}, "a whole number"),
        ({"bottleneck_size": 2}, "do not fit the model"),
        ({"width": 3}, "has the settings"),
    ):
        about = {"feature_dim": DIM, "num_pdfs": PDFS}
        made = header | {"settings": SETTINGS | change, "about": about}
        save_file(tensors, path, {"asr-hf": json.dumps(with_checksum(made, tensors))})
        with pytest.raises(InputError, match=said):
            load_model(path)
