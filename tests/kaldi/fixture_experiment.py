"""A small experiment of Kaldi's own programs (fixtures/README.md), and what is packed from it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig

from asr_hf.cli.compose import load_config
from asr_hf.data.store import FrameStore
from asr_hf.runtime.errors import InputError
from asr_hf.stages.sources.external import pack_external

from ..typed import typed
from .experiments import TINY
from .kaldi_text import matrices

# Of words.txt; blanks that are not ASCII part no words.
WORDS = ["<eps>", "ja", "nein", "d'ac\u00a0cord", "so\u3000so"]


def arguments(*more: str) -> list[str]:
    named = ["corpus.train_data=data/train", "alignment.from_kaldi=exp/lda", "paths.data=stores"]
    return ["+recipe=kaldi", *named, "corpus.heldout_share=0.3", *TINY, *more]


def config_of(*more: str) -> DictConfig:
    return load_config(arguments(*more))


def stored(root: Path) -> dict[str, np.ndarray]:
    """Frames of all utterances that were packed for training."""
    found = {}
    for name in ("train", "dev"):
        store = FrameStore.open(root / "stores/kaldi/store" / name)
        for unit, utterance in enumerate(store.utterances):
            found[utterance] = store.read(np.array([unit])).features.numpy()
    return found


def assert_packed(root: Path, right: Path) -> None:
    found, wanted = stored(root), matrices(right)
    assert found.keys() == wanted.keys()
    for name, frames in found.items():
        np.testing.assert_allclose(frames, wanted[name], rtol=1e-4, atol=2e-4)


def refusal(*more: str) -> str:
    with pytest.raises(InputError) as caught:
        pack_external(typed(config_of(*more)))
    return str(caught.value)
