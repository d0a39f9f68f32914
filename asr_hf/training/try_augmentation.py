"""Tries an augmentation before training, so that its faults show at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from asr_hf.data.frame_batch import Augmentation, Hiding
from asr_hf.data.frame_draws import FrameDraws
from asr_hf.data.store import FrameStore
from asr_hf.models.acoustic import AcousticModel
from asr_hf.models.registry import full_name
from asr_hf.runtime.errors import AsrHfError, InputError

_PAGE = "docs/your-classes.md says what is asked of it"


class _Asked:
    """Hides nothing, and remembers whether it was asked."""

    asked = False

    def hidden(self, draws: FrameDraws, starts: Tensor, frames: Tensor, dim: int) -> Tensor:
        self.asked = True
        return torch.zeros(len(frames), dim, dtype=torch.bool, device=frames.device)


def try_augmentation(
    augmentation: Augmentation | None, model: AcousticModel, store: FrameStore
) -> None:
    """Check that an augmentation says what it hides, and that the model lets it be hidden.

    Args:
        augmentation: the augmentation; None passes.
        model: the model that is trained.
        store: the training data.

    Raises:
        InputError: the augmentation has a fault, or the model reads features past it.
        AsrHfError: the augmentation raises one itself.
    """
    if augmentation is None:
        return
    batch = store.gather(np.arange(1), model.flat.device)
    frames = torch.arange(len(batch.starts), device=model.flat.device)
    try:
        hidden = augmentation.hidden(FrameDraws(0), batch.starts, frames, store.dim)
        found = f"{hidden.dtype} {list(hidden.shape)}"
        fits = hidden.dtype is torch.bool and list(hidden.shape) == [len(frames), store.dim]
    except AsrHfError:
        raise
    except Exception as error:  # a class of the user's own may fail in any way
        found, fits = f"{type(error).__name__}: {error}", False
    if not fits:
        raise InputError(
            f"augment._target_: {full_name(type(augmentation))}: hidden() gives {found}",
            expected=f"torch.bool {[len(frames), store.dim]}",
            remedy=_PAGE,
        )
    asked = _Asked()
    model.inputs(replace(batch, hiding=Hiding(asked, FrameDraws(0), model.input_mean[: store.dim])))
    if not asked.asked:
        raise InputError(
            f"augment: model._target_: {full_name(type(model))} reads features past it",
            expected="inputs(batch, index) that takes them from batch.rows(frames, dtype)",
            remedy=f"augment=null, or change the model; {_PAGE}",
        )
