"""What is trained on where `features.perturb` alters the training set: its features and labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from asr_hf.data.alignment import Alignments
from asr_hf.data.ark import ArkReader
from asr_hf.data.augment.carry import FrameGrid
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.provenance import Source
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.expected import features_source
from asr_hf.stages.sources.layout import features_folder, perturbed_folder
from asr_hf.stages.sources.sets import perturbation


@dataclass(frozen=True)
class TrainedOn:
    """The utterances that a frame store is packed of.

    Args:
        data: the set, with its copies where it is perturbed.
        folder: folder of the features.
        source: source that identifies the features.
    """

    data: DataDir
    folder: Path
    source: Source

    @classmethod
    def of(cls, settings: Settings, name: str, data: DataDir) -> TrainedOn:
        """Return what the store of the set `name` is packed of.

        Args:
            settings: settings of the command.
            name: name of the set.
            data: the set as it was recorded.

        Raises:
            InputError: there are no such features, or they were made with other settings.
        """
        chosen = perturbation(settings, name)
        folder = features_folder(settings, name)
        if chosen is not None:
            data, folder = chosen.of(data), perturbed_folder(settings, name)
        return cls(data, folder, features_source(settings, data, folder))

    def aligned(self, alignments: Alignments, grid: FrameGrid) -> Alignments:
        """Add alignments of copies: the labels of the utterances that they are copies of.

        Copies that are aligned already keep their alignments. Those that do not fit the utterance
        get none.

        Args:
            alignments: alignments of the recorded utterances, and perhaps of copies.
            grid: places of the features' frames in time.

        Returns:
            The alignments of all.
        """
        copies = [u for u in self.data.utterances if u.is_copy and u.id not in alignments.pdfs]
        if not copies:
            return alignments
        pdfs, features = dict(alignments.pdfs), ArkReader(self.folder / "feats.scp")
        for copy in copies:
            assert copy.alteration is not None
            labels = alignments.pdfs.get(copy.alteration.of)
            if labels is None or copy.id not in features:
                continue
            try:
                speed = copy.alteration.speed
                pdfs[copy.id] = grid.carry(labels, len(features[copy.id]), speed)
            except InputError:
                continue  # packing counts it among the skipped
        return Alignments(pdfs, alignments.num_pdfs)

    def copies_of(self, names: frozenset[str]) -> frozenset[str]:
        """Return the names of the copies of the utterances `names`."""
        utterances = self.data.utterances
        return frozenset(
            u.id for u in utterances if u.alteration is not None and u.alteration.of in names
        )


def frame_grid(settings: Settings) -> FrameGrid:
    """Return the places of frames in time."""
    return FrameGrid(settings.features.frame_length, settings.features.frame_shift)
