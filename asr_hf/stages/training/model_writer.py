"""Writes the model files of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from asr_hf.data.store import FrameStore
from asr_hf.hmm.graph.states import states_digest
from asr_hf.models.acoustic import AcousticModel
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.layout import system_folder
from asr_hf.stages.training.branch import without_branch
from asr_hf.training.model_file import save_model
from asr_hf.training.posteriors import expected_counts


@dataclass(frozen=True)
class ModelWriter:
    """Saves a model with parameters found in training, and with the priors that `priors` names.

    A second output layer, which training alone has, is left out.

    Args:
        settings: settings of the run.
        model: model, whose parameters are overwritten; its priors stay, as training may depend on
            them.
        train: training data.
    """

    settings: Settings
    model: AcousticModel
    train: FrameStore

    @torch.no_grad()
    def save(self, path: Path, theta: Tensor) -> None:
        """Write the model with parameters θ [n] to `path`."""
        model, before = self.model, self.model.log_priors.clone()
        model.flat.copy_(theta)
        features = self.settings.plain("features")
        hmms = system_folder(self.settings)
        states = states_digest(hmms) if (hmms / "hmm.json").is_file() else None
        about = {"corpus": self.settings.corpus.name, "features": features, "states": states}
        # Online CMVN starts from them, whatever is decoded.
        if global_stats := self.train.about.get("features", {}).get("global_stats"):
            about["global_stats"] = global_stats
        if self.settings.priors == "posteriors":
            seed = self.settings.runtime.seed
            counts = expected_counts(model, self.train, model.flat.device, seed)
            model.set_log_priors(counts)
        whole = model.num_pdfs == self.train.num_pdfs
        kept = model if whole else without_branch(self.settings, model)
        save_model(path, kept, self.settings.model.tree, about)
        model.log_priors.copy_(before)
