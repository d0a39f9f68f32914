"""All settings of a command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asr_hf.settings.adapt import AdaptSettings
from asr_hf.settings.alignment import AlignmentSettings
from asr_hf.settings.component import Builder, Component
from asr_hf.settings.corpus import CorpusSettings, corpus_settings
from asr_hf.settings.decode import DecodeSettings, ExportSettings
from asr_hf.settings.features import FeatureSettings
from asr_hf.settings.lattices import LatticeSettings
from asr_hf.settings.maker import Maker, make
from asr_hf.settings.runtime import LmSettings, PathSettings, RuntimeSettings


@dataclass(frozen=True, kw_only=True)
class PretrainingSettings:
    """Settings of pretraining layer by layer.

    Attributes:
        trainer: optimiser that trains each depth.
    """

    trainer: Component


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of a command.

    Attributes:
        name: name of the run.
        run_dir: run folder.
        frame_stride: distance of the frames of a unit that samples are drawn in; 1 takes whole
            utterances.
        init_from: run folder whose model training starts from; None starts from random weights.
        new_output: whether that model gets a new output layer.
        adapt: settings of adaptation to other speech.
        overfit: whether held-out data may be trained on.
        priors: what the trained model's priors are: alignment or posteriors.
        precision: arithmetic of curvature products and gradients: fp32, tf32 or bf16.
        paths: folders of corpora, runs and downloads.
        lm: settings of language models.
        runtime: settings of where and how a run computes.
        corpus: settings of the corpus.
        features: settings of features.
        alignment: settings of alignment.
        lattices: settings of denominator lattices.
        decode: settings of decoding.
        export: settings of exports.
        model: acoustic model.
        criterion: training criterion.
        trainer: optimiser.
        pretraining: pretraining; None trains from the initial weights at once.
        augment: what of the training features the network does not see; None shows it all.
        tree: all settings as plain values, nested by the parts of their keys. Records are written
            from it and compared with it; nothing else reads it.
        formulas: settings as `tree` has them, but with the `${...}` that values came from.
    """

    name: str
    run_dir: Path
    frame_stride: int
    init_from: Path | None
    overfit: bool
    priors: str
    precision: str
    paths: PathSettings
    lm: LmSettings
    runtime: RuntimeSettings
    corpus: CorpusSettings
    features: FeatureSettings
    alignment: AlignmentSettings
    lattices: LatticeSettings
    decode: DecodeSettings
    export: ExportSettings
    model: Component
    criterion: Component
    trainer: Component
    pretraining: PretrainingSettings | None = None
    augment: Component | None = None
    new_output: bool = False
    adapt: AdaptSettings = field(default_factory=AdaptSettings)
    tree: Mapping[str, Any] = field(repr=False)
    formulas: Mapping[str, Any] = field(repr=False)

    @classmethod
    def of(cls, tree: Mapping[str, Any], formulas: Mapping[str, Any], builder: Builder) -> Settings:
        """Make settings from plain values.

        Args:
            tree: plain values, nested by the parts of their keys.
            formulas: plain values, with `${...}` where one follows another.
            builder: function that makes the objects which components describe.

        Returns:
            The settings.

        Raises:
            MissingSetting: a setting is missing.
            InputError: a value is of a wrong kind; the message names its whole key.
        """
        makers: dict[Any, Maker] = {
            Component: lambda value, key: Component.of(value, key, builder),
            CorpusSettings: corpus_settings,
        }
        return make(cls, {**tree, "tree": tree, "formulas": formulas}, "", makers)

    def changed(self, key: str, value: Any) -> Settings:
        """Return these settings with another value at a key.

        Args:
            key: dotted key.
            value: plain value.

        Returns:
            New settings, made from the tree with that value.
        """
        trees = [_replaced(tree, key.split("."), value) for tree in (self.tree, self.formulas)]
        return Settings.of(trees[0], trees[1], self.trainer.builder)

    def plain(self, key: str, default: Any = None) -> Any:
        """Return the plain value at a dotted key, for records; `default` where there is none."""
        node: Any = self.tree
        for name in key.split("."):
            if not isinstance(node, Mapping) or name not in node:
                return default
            node = node[name]
        return node


def _replaced(tree: Any, names: list[str], value: Any) -> dict[str, Any]:
    """Copy a nested mapping as far as a value in it changes."""
    copy = dict(tree) if isinstance(tree, Mapping) else {}
    name, *below = names
    copy[name] = _replaced(copy.get(name), below, value) if below else value
    return copy
