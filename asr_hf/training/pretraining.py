"""Layer-wise pretraining of a model over a frame store, before the run proper."""

from __future__ import annotations

import logging
from collections.abc import Callable

from asr_hf.models.dnn import DNN
from asr_hf.models.pretrain import pretrain
from asr_hf.runtime.errors import InputError
from asr_hf.training.frame_objective import FrameObjective
from asr_hf.training.loop import Optimiser

log = logging.getLogger(__name__)

# Makes what makes an optimiser of an objective and its parameters.
MakeTrainer = Callable[[], Callable[..., Optimiser]]


def pretrain_layers(objective: FrameObjective, make_trainer: MakeTrainer) -> None:
    """Replace the model's hidden layers below the last by pretrained ones, in place.

    The work is counted in `objective.frames`.

    Args:
        objective: whose model is pretrained.
        make_trainer: makes an optimiser, which is called with objective and parameters and trains
            one depth.

    Raises:
        InputError: the model is no plain DNN.
    """
    model = objective.model
    if not isinstance(model, DNN) or type(model) is not DNN:
        raise InputError(
            f"pretraining: {type(model).__name__} cannot be grown layer by layer",
            expected="model=dnn",
            remedy="leave out pretraining=layerwise",
        )

    def train(smaller: DNN) -> None:
        smaller_objective = FrameObjective(
            smaller,
            objective.criterion,
            objective.stores,
            objective.chunk_frames,
            sources=objective.sources,
        )
        optimiser = make_trainer()(objective=smaller_objective, theta=smaller.flat.detach().clone())
        while not optimiser.finished:
            event = optimiser.step()
            log.info(
                "pretraining %d hidden layers, epoch %d: train %.4f",
                len(smaller.hidden_sizes),
                event["iteration"],
                event["train_loss"],
            )
        smaller.flat.copy_(optimiser.estimate)
        for kind, frames in smaller_objective.frames.items():
            objective.frames[kind] += frames

    pretrain(model, train)
