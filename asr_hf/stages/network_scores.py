"""Scores of a corpus's sets under a trained network, whether they are aligned or not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from omegaconf import DictConfig

from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.store import FrameBatch, FrameStore
from asr_hf.data.store_writer import FeatureSource
from asr_hf.runtime import artefact
from asr_hf.runtime.device import choose_device
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.provenance import Source
from asr_hf.stages.expected import features_fit, features_source, store_source
from asr_hf.stages.layout import store_folder
from asr_hf.training.model_file import load_model
from asr_hf.training.posteriors import batches_of, log_likelihoods


class NetworkScores:
    """Log likelihoods of the utterances of sets, for decoding and alignment.

    Utterances in the frame store of a set are read there. Others, which `align` left out or never
    saw, are read from the features: decoding needs no alignment.

    Args:
        config: the configuration.
        path: the model file.

    Raises:
        InputError: there is no such model, or it is damaged.
    """

    def __init__(self, config: DictConfig, path: Path) -> None:
        self._config, self.path = config, path
        self.model, self.about = load_model(path, config)
        # What identifies the network.
        self.source = Source.of_file(path)
        self._device = choose_device(config.runtime.device, config.runtime.threads)

    def __call__(self, name: str) -> Iterator[tuple[str, np.ndarray]]:
        """The utterances of the set `name` and their scores [frames, pdfs].

        Raises:
            InputError: features are missing, or others than the network was trained on.
        """
        return log_likelihoods(self.model, self._batches(name), self._device)

    def stored(self, name: str) -> Iterator[tuple[str, np.ndarray]]:
        """The same of the utterances in the set's frame store alone, in its order."""
        store = self._store(name)
        assert store is not None
        return log_likelihoods(self.model, batches_of(store, self._device), self._device)

    def frames_source(self, name: str) -> Source:
        """What identifies the frames of a set."""
        found = {}
        if self._store(name) is not None:
            found["store"] = store_source(self._config, store_folder(self._config, name)).digest
        if (features := self._features(name)) is not None:
            data, folder = features
            found["features"] = features_source(self._config, data, folder).digest
        return Source.of_values(found)

    def lacking(self, name: str, utterances: list[str]) -> dict[str, str]:
        """Those of the utterances that there are no frames of, and why."""
        store, features = self._store(name), self._features(name)
        have = set() if store is None else set(store.utterances)
        reasons: dict[str, str] = {}
        if features is not None:
            source = FeatureSource.open(features[1], self._config.features.dtype)
            have |= set(source.features)
            known = artefact.find(features[1])
            reasons = {} if known is None else known.about.get("skipped", {})
        return {
            u: reasons.get(u, "no features") + "; its words count as deleted"
            for u in utterances
            if u not in have
        }

    def _batches(self, name: str) -> Iterator[tuple[str, FrameBatch]]:
        store, features = self._store(name), self._features(name)
        if store is not None:
            yield from batches_of(store, self._device)
        if features is None:
            return
        data, folder = features
        stored = set() if store is None else set(store.utterances)
        rest = [u for u in data.utterances if u.id not in stored]
        if not rest:
            return
        source = FeatureSource.open(
            folder, self._config.features.dtype, allow_pipes=self._config.features.allow_pipes
        )
        for utterance in rest:
            if utterance.id in source.features and len(frames := source.frames(utterance)):
                yield utterance.id, _batch(frames).to(self._device)

    def _store(self, name: str) -> FrameStore | None:
        """The set's store; None where it has none."""
        folder = store_folder(self._config, name)
        if not (folder / "store.json").is_file():
            return None
        source = store_source(self._config, folder)
        features_fit(source, self.about, self.path)
        store = FrameStore.open(folder)
        if store.dim != self.model.feature_dim:
            raise InputError(
                f"{store.folder}: features of {store.dim} dimensions",
                expected=f"{self.model.feature_dim}, as in the training of {self.path}",
                remedy=f"make the features of {name} as those of training, with the same "
                "features.transforms",
            )
        return store

    def _features(self, name: str) -> tuple[DataDir, Path] | None:
        """The set and the folder of its features; None where they are not extracted here."""
        corpus = Path(self._config.corpus.dir)
        folder = corpus / "fbank" / name
        if not (corpus / name / "utt2spk").is_file() or not (folder / "feats.scp").is_file():
            return None
        data = DataDir.read(corpus / name)
        features_fit(features_source(self._config, data, folder), self.about, self.path)
        return data, folder


def _batch(frames: np.ndarray) -> FrameBatch:
    count = len(frames)
    return FrameBatch(
        torch.from_numpy(np.ascontiguousarray(frames)),
        torch.zeros(0, dtype=torch.int64),
        torch.zeros(count, dtype=torch.int64),
        torch.full((count,), count),
    )
