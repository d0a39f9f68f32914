"""One training of an autoencoder, for so many seconds of processor time."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from asr_hf.optim import HessianFree, StochasticHessianFree

_BATCH = 512
# Share of a run in which AdamW's rate rises.
_WARM_UP = 0.03


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Args:
        method: name of the method, with its settings.
        seconds: processor seconds of training.
        epochs: passes over the training images, of gradients alone.
        loss: cross-entropy of an image, over test images (nats); None where the run diverged.
        squares: squared error of an image, over test images; None likewise.
    """

    method: str
    seconds: float
    epochs: float
    loss: float | None
    squares: float | None


def loss_of() -> nn.BCEWithLogitsLoss:
    """Return the loss: cross-entropy of the pixels, added up over an image."""
    return nn.BCEWithLogitsLoss(reduction="sum")


def adamw(
    module: nn.Module, data: Tensor, test: Tensor, seconds: float, rate: float, decay: str
) -> Outcome:
    """Train by AdamW with a warm-up and a decay to nothing over the run.

    Args:
        module: the network.
        data: training images [N, 784].
        test: test images [M, 784].
        seconds: processor seconds of the run.
        rate: highest learning rate.
        decay: linear or cosine.

    Returns:
        How it ended.
    """
    optimiser = torch.optim.AdamW(module.parameters(), lr=rate, weight_decay=0.0, fused=True)
    loss, steps, start = loss_of(), 0, time.process_time()
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(data), generator=generator)
    position = 0
    while (progress := (time.process_time() - start) / seconds) < 1.0:
        factor = 1 - progress if decay == "linear" else 0.5 * (1 + math.cos(math.pi * progress))
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1.0, progress / _WARM_UP) * factor
        if position + _BATCH > len(data):
            order, position = torch.randperm(len(data), generator=generator), 0
        batch = data[order[position : position + _BATCH]]
        position, steps = position + _BATCH, steps + 1
        optimiser.zero_grad()
        value = loss(module(batch), batch) / len(batch)
        if not bool(torch.isfinite(value)):
            return Outcome(f"AdamW, {rate:g}, {decay}", seconds, 0.0, None, None)
        value.backward()
        optimiser.step()
    spent = time.process_time() - start
    return _outcome(f"AdamW, {rate:g}, {decay}", module, test, spent, steps * _BATCH / len(data))


def stochastic(
    module: nn.Module, data: Tensor, test: Tensor, seconds: float, **options: Any
) -> Outcome:
    """Train by `StochasticHessianFree` as it is, with as many epochs as the seconds allow."""
    epochs = seconds / _seconds_of_epoch(module, data, **options)
    optimiser = StochasticHessianFree(module, loss_of(), (data, data), epochs=epochs, **options)
    start = time.process_time()
    while not optimiser.finished:
        optimiser.step()
    spent = time.process_time() - start
    name = ", ".join(["StochasticHessianFree", *(f"{k}={v}" for k, v in options.items())])
    return _outcome(name, module, test, spent, epochs)


def _seconds_of_epoch(module: nn.Module, data: Tensor, **options: Any) -> float:
    """Measure the processor time of an epoch on a copy of the network, once steps are many."""
    optimiser = StochasticHessianFree(
        copy.deepcopy(module), loss_of(), (data, data), epochs=1000, **options
    )
    # The first rounds have fewer steps.
    for _ in range(6):
        optimiser.step()
    start, before = time.process_time(), optimiser.progress
    for _ in range(2):
        optimiser.step()
    return (time.process_time() - start) / (1000 * (optimiser.progress - before))


def hessian_free(
    module: nn.Module, data: Tensor, test: Tensor, seconds: float, **options: Any
) -> Outcome:
    """Train by `HessianFree` until the time is over, a tenth of the images held out."""
    held = len(data) // 10
    train, held_out = data[held:], data[:held]
    optimiser = HessianFree(
        module,
        loss_of(),
        (train, train),
        (held_out, held_out),
        acceptance_examples=1000,
        **options,
    )
    start, examples = time.process_time(), 0
    while time.process_time() - start < seconds:
        examples += optimiser.step().gradient_examples
    spent = time.process_time() - start
    name = ", ".join(["HessianFree", *(f"{k}={v}" for k, v in options.items())])
    return _outcome(name, module, test, spent, examples / len(train))


@torch.no_grad()
def _outcome(
    method: str, module: nn.Module, test: Tensor, seconds: float, epochs: float
) -> Outcome:
    logits = torch.cat([module(part) for part in torch.split(test, 1000)])
    loss = float(loss_of()(logits, test)) / len(test)
    squares = float((torch.sigmoid(logits) - test).square().sum()) / len(test)
    return Outcome(method, seconds, epochs, loss, squares)
