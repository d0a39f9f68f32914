"""The Fisher matrix of a network on frames of a store: measured, and kept in a file."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from asr_hf.hf.objective import Split
from asr_hf.models.dnn import DNN
from asr_hf.models.tdnn import TDNN
from asr_hf.runtime.errors import InputError
from asr_hf.training.fisher import measure_fisher
from asr_hf.training.fisher_file import load_fisher, save_fisher

from .conftest import DIM, PDFS


def network(kind=DNN, **changes):
    own = {"context": [[-1, 0, 1], [0]]} if kind is TDNN else {"left": 1, "right": 2}
    settings = {"hidden_sizes": [6, 5], "activation": "sigmoid", **own}
    return kind(feature_dim=DIM, num_pdfs=PDFS, seed=3, **(settings | changes)).double()


def measured(model, store, frames=10_000, seed=0, chunk=40):
    return measure_fisher(model, store, frames, seed, chunk)


def test_inputs_are_those_of_all_frames_and_gradients_those_of_the_model_s_labels(stores):
    """A is exact; B is within what the draw of labels does, of E[diag(p) - pp']."""
    store, model = stores[Split.TRAIN], network()
    batch = store.gather(np.arange(store.num_units), torch.device("cpu"))
    rows = model.normalise(model.inputs(batch))
    with torch.no_grad():
        p = model(model.inputs(batch)).softmax(1)
    factors, taken = measured(model, store)
    assert taken == store.num_frames == len(rows)
    rows = torch.cat([rows, torch.ones_like(rows[:, :1])], dim=1)
    first, *_, last = factors.values()
    torch.testing.assert_close(first.inputs, rows.T @ rows / taken)
    expected = (torch.diag_embed(p) - p[:, :, None] * p[:, None, :]).mean(0)
    torch.testing.assert_close(last.outputs, expected, atol=0.05, rtol=0.3)
    assert list(factors) == list(model.affine_layers())
    for factor in factors.values():
        for matrix in (factor.inputs, factor.outputs):
            assert torch.equal(matrix, matrix.T)
            assert torch.linalg.eigvalsh(matrix).min() > -1e-12


def test_chunks_change_nothing_and_seeds_change_labels(stores):
    store, model = stores[Split.TRAIN], network()
    one, two, other = (
        measured(model, store, seed=seed, chunk=chunk)[0]
        for seed, chunk in ((0, 40), (0, 7), (1, 40))
    )
    for a, b, c in zip(one.values(), two.values(), other.values(), strict=True):
        torch.testing.assert_close(a.inputs, b.inputs)
        torch.testing.assert_close(a.outputs, b.outputs)
        assert not torch.allclose(a.outputs, c.outputs)


def test_few_frames_are_spread_over_all_utterances(stores):
    """Those of a fifth of the frames are near those of all."""
    store, model = stores[Split.TRAIN], network()
    every, all_taken = measured(model, store)
    some, taken = measured(model, store, frames=store.num_frames // 5)
    assert 0.7 * all_taken / 5 < taken < 1.4 * all_taken / 5
    for a, b in zip(every.values(), some.values(), strict=True):
        assert float((a.inputs - b.inputs).norm() / a.inputs.norm()) < 0.5
    again = measured(model, store, frames=store.num_frames // 5)[0]
    for a, b in zip(some.values(), again.values(), strict=True):
        assert torch.equal(a.inputs, b.inputs) and torch.equal(a.outputs, b.outputs)


def test_fewer_frames_than_utterances_leave_some_out(stores, monkeypatch):
    monkeypatch.setattr("asr_hf.training.fisher._FARTHEST", 2)
    store = stores[Split.TRAIN]
    _, taken = measured(network(), store, frames=store.num_frames // 20)
    assert 0 < taken < store.num_frames // 5
    assert measured(network(), store, frames=1)[1] > 0


def test_dropout_drops_nothing_and_statistics_stay(stores):
    store, model = stores[Split.TRAIN], network(normalisation="batch", dropout=0.5)
    before = {n: t.clone() for n, t in model.state_tensors().items()}
    without = network(normalisation="batch")
    for a, b in zip(
        measured(model, store)[0].values(), measured(without, store)[0].values(), strict=True
    ):
        torch.testing.assert_close(a.inputs, b.inputs)
    assert all(torch.equal(before[n], t) for n, t in model.state_tensors().items())


def test_the_last_layer_of_many_outputs_keeps_a_diagonal(stores, monkeypatch):
    store, model = stores[Split.TRAIN], network()
    whole = list(measured(model, store)[0].values())[-1]
    monkeypatch.setattr("asr_hf.training.fisher._MOST_OUTPUTS", PDFS - 1)
    *_, last = measured(model, store)[0].values()
    torch.testing.assert_close(last.outputs, whole.outputs.diagonal())


def test_a_network_without_fully_connected_layers_is_refused(stores, monkeypatch):
    monkeypatch.setattr(DNN, "affine_layers", lambda self: {})
    with pytest.raises(InputError, match=r"trainer\.pull_fisher: a DNN has no fully connected"):
        measured(network(), stores[Split.TRAIN])


@pytest.mark.parametrize("kind", [DNN, TDNN])
def test_what_is_kept_is_read_for_the_layers_that_a_network_has(stores, tmp_path, kind):
    store, model = stores[Split.TRAIN], network(kind, normalisation="batch")
    factors, path = measured(model, store)[0], tmp_path / "fisher.safetensors"
    save_fisher(path, factors)
    for kept, found in zip(factors.values(), load_fisher(path, model), strict=True):
        assert kept.start == found.start
        assert torch.equal(kept.inputs, found.inputs)
        assert torch.equal(kept.outputs, found.outputs)
    output = list(factors)[-1]
    assert isinstance(model.get_submodule(output), nn.Linear)
    hidden = load_fisher(path, model, {output})
    assert [f.start for f in hidden] == [f.start for f in list(factors.values())[:-1]]
    assert load_fisher(path, model.float())[0].inputs.dtype == torch.float32


def test_files_of_other_networks_and_no_files_are_refused(stores, tmp_path):
    path = tmp_path / "fisher.safetensors"
    save_fisher(path, measured(network(), stores[Split.TRAIN])[0])
    for other, said in (
        (network(hidden_sizes=[6, 4]), r"layers\.1\.outputs is \[5, 5\]"),
        (network(hidden_sizes=[6, 5, 5]), "layers"),
    ):
        with pytest.raises(InputError, match=said):
            load_fisher(path, other)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(InputError, match="cannot be read"):
        load_fisher(path, network())
    with pytest.raises(InputError, match="cannot be read"):
        load_fisher(tmp_path / "none", network())
