"""Writes the models of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from asr_hf.data.store import FrameStore
from asr_hf.hmm.graph.states import states_digest
from asr_hf.models.acoustic import AcousticModel
from asr_hf.stages.sources.layout import system_folder
from asr_hf.training.model_file import save_model
from asr_hf.training.posteriors import expected_counts


@dataclass(frozen=True)
class ModelWriter:
    """Saves a model with parameters found in training, and the priors that `priors` asks for.

    Args:
        config: the run's configuration.
        model: is given the parameters; its own priors stay, as training may depend on them.
        train: the training data.
    """

    config: DictConfig
    model: AcousticModel
    train: FrameStore

    @torch.no_grad()
    def save(self, path: Path, theta: Tensor) -> None:
        """Write the model with parameters θ [n] to `path`."""
        model, before = self.model, self.model.log_priors.clone()
        model.flat.copy_(theta)
        features = OmegaConf.to_container(self.config.features)
        hmms = system_folder(self.config)
        states = states_digest(hmms) if (hmms / "hmm.json").is_file() else None
        about = {"corpus": self.config.corpus.name, "features": features, "states": states}
        if self.config.priors == "posteriors":
            seed = self.config.runtime.seed
            counts = expected_counts(model, self.train, model.flat.device, seed)
            model.set_log_priors(counts)
        save_model(path, model, self.config.model, about)
        model.log_priors.copy_(before)
