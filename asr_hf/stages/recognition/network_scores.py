"""Scores of a corpus's sets under a trained network, whether the sets are aligned or not."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import torch

from asr_hf.data.frame_batch import FrameBatch
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.store import FrameStore
from asr_hf.data.store_writer import FeatureSource
from asr_hf.runtime import artefact
from asr_hf.runtime.device import choose_device
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.provenance import Source
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.expected import features_fit, features_source, store_source
from asr_hf.stages.sources.layout import store_folder, subsampling
from asr_hf.stages.sources.sets import perturbation
from asr_hf.training.model_file import load_model
from asr_hf.training.posteriors import batches_of, log_likelihoods


class NetworkScores:
    """Log likelihoods of the utterances of sets, for decoding and alignment.

    Utterances in the frame store of a set are read from it. Others, which `align` left out or never
    saw, are read from the features: decoding needs no alignment.

    Args:
        settings: settings of the command.
        path: model file.
        stored: whether frame stores are read; otherwise all is read from the features.

    Raises:
        InputError: there is no such model, or it is damaged.
    """

    def __init__(self, settings: Settings, path: Path, stored: bool = True) -> None:
        self.path, self._reads_stores = path, stored
        self.model, self.about = load_model(path, settings.model.target)
        self.source, self.subsampling = Source.of_file(path), self.model.subsampling
        if self.subsampling != subsampling(settings):
            # So that the store is read that it was trained on.
            settings = settings.changed("model.subsampling", self.subsampling)
        self._settings = settings
        self._device = choose_device(settings.runtime.device, settings.runtime.threads)
        # Opening checks them against their sources, so each is opened once.
        self._store, self._features = cache(self._open_store), cache(self._open_features)

    def __call__(self, name: str) -> Iterator[tuple[str, np.ndarray]]:
        """Return the utterances of the set `name` and their log likelihoods [frames, pdfs].

        They are as they were recorded, in a set that `features.perturb` alters too.

        Raises:
            InputError: features are missing, or are not like those that the network was trained on.
        """
        return log_likelihoods(self.model, self._batches(name), self._device)

    def stored(self, name: str) -> Iterator[tuple[str, np.ndarray]]:
        """Return the scores of the utterances in the set's frame store alone, in its order."""
        opened = self._store(name)
        assert opened is not None
        return log_likelihoods(self.model, batches_of(opened[0], self._device), self._device)

    def frames_source(self, name: str) -> Source:
        """Return the source that identifies the frames of a set."""
        digests = {}
        if (store := self._recorded(name)) is not None:
            digests["store"] = store[1].digest
        if (features := self._features(name)) is not None:
            digests["features"] = features[2].digest
        return Source.of_values(digests)

    def num_frames(self, name: str) -> int:
        """Return the number of frames of a set that have scores, about.

        Those of utterances that `align` left out are among them.
        """
        recorded, features = self._recorded(name), self._features(name)
        stored = 0 if recorded is None else recorded[0].num_frames
        known = None if features is None else artefact.find(features[1].features.path.parent)
        if known is not None:
            stored = max(stored, int(known.about.get("frames", 0)))
        return -(-stored // self.subsampling)

    def lacking(self, name: str, utterances: list[str]) -> dict[str, str]:
        """Return the utterances that have no frames, and the reason for each."""
        with_frames, features = self._stored(name), self._features(name)
        reasons: dict[str, str] = {}
        if features is not None:
            with_frames |= set(features[1].features)
            known = artefact.find(features[1].features.path.parent)
            reasons = {} if known is None else known.about.get("skipped", {})
        return {
            u: reasons.get(u, "no features") + "; its words count as deleted"
            for u in utterances
            if u not in with_frames
        }

    def _batches(self, name: str) -> Iterator[tuple[str, FrameBatch]]:
        opened, features = self._recorded(name), self._features(name)
        if opened is not None:
            yield from batches_of(opened[0], self._device)
        if features is None:
            return
        data, source, _ = features
        stored = self._stored(name)
        for utterance in data.utterances:
            if utterance.id in stored or utterance.id not in source.features:
                continue
            if len(matrix := source.frames(utterance)):
                yield utterance.id, unlabelled_batch(matrix).to(self._device)

    def _stored(self, name: str) -> set[str]:
        opened = self._recorded(name)
        return set() if opened is None else set(opened[0].utterances)

    def _recorded(self, name: str) -> tuple[FrameStore, Source] | None:
        """Return the set's store unless its utterances are altered there."""
        return self._store(name) if perturbation(self._settings, name) is None else None

    def _open_store(self, name: str) -> tuple[FrameStore, Source] | None:
        """Return the set's frame store and its source; None where the set has none.

        Raises:
            InputError: the store is not current, or does not fit the network.
        """
        folder = store_folder(self._settings, name)
        if not self._reads_stores or not (folder / "store.json").is_file():
            return None
        source = store_source(self._settings, folder)
        features_fit(source, self.about, self.path)
        store = FrameStore.open(folder)
        if store.dim != self.model.feature_dim:
            raise InputError(
                f"{store.folder}: features of {store.dim} dimensions",
                expected=f"{self.model.feature_dim}, as in the training of {self.path}",
                remedy=f"make the features of {name} as those of training, with the same "
                "features.transforms",
            )
        return store, source

    def _open_features(self, name: str) -> tuple[DataDir, FeatureSource, Source] | None:
        """Return the set, its features and their source; None where there are none."""
        corpus = self._settings.corpus.dir
        folder = corpus / "fbank" / name
        if not (corpus / name / "utt2spk").is_file() or not (folder / "feats.scp").is_file():
            return None
        data = DataDir.read(corpus / name)
        known = features_source(self._settings, data, folder)
        features_fit(known, self.about, self.path)
        options = self._settings.features
        source = FeatureSource.open(folder, options.dtype, allow_pipes=options.allow_pipes)
        return data, source, known


def unlabelled_batch(features: np.ndarray) -> FrameBatch:
    """Make a batch of the features [frames, D] of one utterance, without labels."""
    count = len(features)
    return FrameBatch(
        torch.from_numpy(np.ascontiguousarray(features)),
        torch.zeros(0, dtype=torch.int64),
        torch.zeros(count, dtype=torch.int64),
        torch.full((count,), count),
    )
