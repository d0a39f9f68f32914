from __future__ import annotations

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from asr_hf.hf.acceptance import Backtracking
from asr_hf.hf.damping import LevenbergMarquardt
from asr_hf.hf.hessian_free import HessianFree, Stopping
from asr_hf.hf.objective import Split
from asr_hf.hf.preconditioners.kfac import KFACPreconditioner
from asr_hf.hf.preconditioners.lbfgs import LBFGSPreconditioner
from asr_hf.hf.sampling.geometric import GeometricSampling
from asr_hf.hf.solvers.flexible_cg import FlexibleConjugateGradient
from asr_hf.runtime.checkpoint import latest_checkpoint, save_checkpoint
from asr_hf.runtime.errors import InputError
from asr_hf.training.model_file import load_model, save_model
from asr_hf.training.pretraining import pretrain_layers

from .killed import Killed, events, run

CONFIG = {"name": "test"}
PRECONDITIONERS = {"lbfgs": LBFGSPreconditioner, "kfac": KFACPreconditioner}


def optimiser(objective, preconditioner):
    return HessianFree(
        objective=objective,
        theta=objective.model.flat.clone(),
        solver=FlexibleConjugateGradient(max_iterations=5),
        preconditioner=PRECONDITIONERS[preconditioner](),
        sampling=GeometricSampling(gradient=0.3, curvature=0.2, curvature_most=0.5),
        damping=LevenbergMarquardt(),
        acceptance=Backtracking(),
        stopping=Stopping(max_iterations=8, patience=0),
        seed=1,
    )


def train(make_objective, path, preconditioner, kill_at=None, **settings):
    objective = make_objective(dtype=torch.float32)
    return run(optimiser(objective, preconditioner), objective, path, kill_at, **settings)


@pytest.mark.parametrize("preconditioner", PRECONDITIONERS)
@pytest.mark.parametrize("kill_at", [0, 1, 5])
def test_killed_run_continues_to_the_same_bits(make_objective, tmp_path, preconditioner, kill_at):
    whole = train(make_objective, tmp_path / "whole", preconditioner)
    with pytest.raises(Killed):
        train(make_objective, tmp_path / "cut", preconditioner, kill_at)
    resumed = train(make_objective, tmp_path / "cut", preconditioner)
    assert torch.equal(whole.optimiser.theta, resumed.optimiser.theta)
    assert torch.equal(whole.best.theta, resumed.best.theta)
    assert whole.best.loss == resumed.best.loss
    assert events(tmp_path / "whole") == events(tmp_path / "cut")
    assert whole.objective.frames_by_pass == resumed.objective.frames_by_pass


def test_a_checkpoint_of_another_version_is_named_with_what_it_lacks(make_objective, tmp_path):
    with pytest.raises(Killed):
        train(make_objective, tmp_path, "lbfgs", kill_at=2)
    path, tensors, values = latest_checkpoint(tmp_path / "checkpoints")
    del values["optimiser"]["sampling"]
    save_checkpoint(path.parent, 3, tensors, values, keep_last=2, best=False)
    with pytest.raises(InputError, match=r"step-000003\.ckpt: has no 'sampling'") as caught:
        train(make_objective, tmp_path, "lbfgs")
    assert "name=" in caught.value.remedy


def test_looks_take_their_share_of_the_work_and_no_more(make_objective, stores, tmp_path):
    share, frames = 0.02, stores[Split.HELDOUT].num_frames
    train(make_objective, tmp_path, "kfac", look_share=share)
    *between, last = events(tmp_path)
    looked_at, looks = 0.0, 0
    for event in between[1:]:
        due = share * (event["work"] - looked_at) >= frames
        assert ("heldout_loss" in event) == due
        if due:
            looked_at, looks = event["work"], looks + 1
    assert "heldout_loss" in between[0] and "heldout_loss" in last
    assert 0 < looks < len(between) - 1
    assert frames * looks <= share * last["work"]


@pytest.mark.parametrize("kill_at", [1, 5])
def test_a_resumed_run_looks_after_the_same_steps(make_objective, tmp_path, kill_at):
    train(make_objective, tmp_path / "whole", "kfac", look_share=0.02)
    with pytest.raises(Killed):
        train(make_objective, tmp_path / "cut", "kfac", kill_at, look_share=0.02)
    train(make_objective, tmp_path / "cut", "kfac", look_share=0.02)
    assert events(tmp_path / "whole") == events(tmp_path / "cut")


def test_finished_run_does_nothing_again(make_objective, tmp_path):
    first = train(make_objective, tmp_path, "lbfgs")
    before = (tmp_path / "events.jsonl").read_bytes()
    again = train(make_objective, tmp_path, "lbfgs")
    assert (tmp_path / "events.jsonl").read_bytes() == before
    assert torch.equal(first.best.theta, again.best.theta)


def test_report_passes_are_not_counted_as_work(make_objective, tmp_path):
    loop = train(make_objective, tmp_path, "lbfgs")
    last = events(tmp_path)[-1]
    assert last["work"] == loop.objective.work
    assert events(tmp_path)[0]["work"] == 0.0


def test_model_file_round_trip(make_objective, tmp_path):
    model = make_objective(dtype=torch.float32).model
    model.set_log_priors(torch.tensor([1, 2, 3, 4]))
    config = {
        "_target_": "asr_hf.models.dnn.DNN",
        "hidden_sizes": [6, 5],
        "activation": "sigmoid",
        "left": 1,
        "right": 2,
    }
    save_model(tmp_path / "m.safetensors", model, config, {"corpus": "drawn"})
    loaded, about = load_model(tmp_path / "m.safetensors")
    x = torch.randn(5, model.input_dim)
    assert torch.equal(model.log_likelihoods(x), loaded.log_likelihoods(x))
    assert about["corpus"] == "drawn"


def test_damaged_or_missing_model_is_named(tmp_path):
    with pytest.raises(InputError, match="no trained model"):
        load_model(tmp_path / "absent.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"\0" * 100)
    with pytest.raises(InputError, match="damaged"):
        load_model(tmp_path / "bad.safetensors")


def test_pretraining_starts_lower_and_counts_its_work(make_objective, stores):
    plain, pretrained = make_objective(dtype=torch.float32), make_objective(dtype=torch.float32)
    trainer = OmegaConf.create(
        {
            "_target_": "asr_hf.baselines.sgd.SGD",
            "_partial_": True,
            "learning_rate": 0.05,
            "batch_frames": 16,
            "horizon": {"_target_": "asr_hf.hf.horizon.Horizon", "epochs": 5},
            "schedule": {"_target_": "asr_hf.baselines.schedules.Constant"},
        }
    )
    upper = [layer.weight.clone() for layer in pretrained.model.linear_layers()[1:]]
    pretrain_layers(pretrained, lambda: instantiate(trainer))
    assert pretrained.frames_by_pass["gradient"] == 5 * stores[Split.TRAIN].num_frames
    layers = pretrained.model.linear_layers()
    assert not torch.equal(layers[0].weight, plain.model.linear_layers()[0].weight)
    assert all(torch.equal(a, b.weight) for a, b in zip(upper, layers[1:], strict=True))
