"""Where the lattices or numerators of a criterion lie, and what makes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from asr_hf.criteria.needs import Targets
from asr_hf.hf.objective import Split
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.layout import lattices_folder, numerators_folder


@dataclass(frozen=True)
class TargetFolders:
    """The folders of one kind of targets, one for each part of the data.

    Args:
        what: what is in them, for messages.
        verb: command that makes them.
        of_set: gives the folder of a set by its name.
    """

    what: str
    verb: str
    of_set: Callable[[Settings, str], Path]

    def of(self, settings: Settings, split: Split) -> Path:
        """Return the folder of the targets of training or held-out data."""
        corpus = settings.corpus
        return self.of_set(
            settings, corpus.train_set if split is Split.TRAIN else corpus.heldout_set
        )


# Labels have none: they are in the frame stores.
TARGET_FOLDERS = {
    Targets.LATTICES: TargetFolders("lattices", "asr-hf lattices", lattices_folder),
    Targets.NUMERATORS: TargetFolders("numerators", "asr-hf align", numerators_folder),
}
