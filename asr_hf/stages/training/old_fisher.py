"""Finds the Fisher matrix of the starting model, which asr-hf adapt has put into the run folder."""

from __future__ import annotations

from pathlib import Path

from asr_hf.curvature.kronecker import KroneckerFactor
from asr_hf.models.acoustic import AcousticModel
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.provenance import Artefact, digest, file_digest
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.expected import require
from asr_hf.training.fisher_file import FILE_NAME, load_fisher
from asr_hf.training.model_file import FILE_NAME as MODEL
from asr_hf.training.parameter_places import output_parameters

# The source that the matrix was measured on, in its record.
NETWORK = "network"
_REMEDY = (
    "asr-hf adapt exp/RUN table=FILE measures it; or trainer.pull_fisher=0 trainer.pull=0.03, "
    "which needs none"
)


def fisher_strength(settings: Settings) -> float:
    """Return `trainer.pull_fisher`; 0 where the trainer has no such setting.

    Raises:
        InputError: it is negative.
    """
    strength: float = settings.trainer.get("pull_fisher", 0.0)
    if not strength >= 0:
        raise InputError(f"trainer.pull_fisher={strength}", expected="0 or more")
    return strength


def fisher_folder(settings: Settings) -> Path:
    """Return the folder of the Fisher matrix in the run folder."""
    return settings.run_dir / "fisher"


def old_fisher(settings: Settings, model: AcousticModel) -> tuple[KroneckerFactor, ...]:
    """Read the Fisher matrix that `trainer.pull_fisher` asks for.

    Args:
        settings: settings of the command.
        model: model that training starts from; a new output layer is left out.

    Returns:
        A product of each layer; nothing where none is asked for.

    Raises:
        InputError: there is none, it is damaged, or it is of another model.
    """
    if not fisher_strength(settings):
        return ()
    known = _known(settings)
    new = output_parameters(model) if settings.new_output else ()
    return load_fisher(known.folder / FILE_NAME, model, {n.rpartition(".")[0] for n in new})


def fisher_origin(settings: Settings) -> dict[str, str]:
    """Return a digest of what the Fisher matrix was measured on; nothing where none is asked for.

    Another machine may round it otherwise, which makes no other run of this one.

    Raises:
        InputError: there is none, it is damaged, or it is of another model.
    """
    if not fisher_strength(settings):
        return {}
    known = _known(settings)
    sources = {name: source.digest for name, source in known.sources.items()}
    return {"Fisher matrix": digest(dict(known.settings), sources)}


def _known(settings: Settings) -> Artefact:
    folder = fisher_folder(settings)
    known = require(folder, _REMEDY)
    if known is None:
        raise InputError(
            f"trainer.pull_fisher={fisher_strength(settings)}: {folder} is not there",
            expected="the Fisher matrix of the starting model",
            remedy=_REMEDY,
        )
    start = settings.init_from
    network = known.sources.get(NETWORK)
    if start is None or network is None or network.digest != file_digest(start / MODEL):
        raise InputError(
            f"{folder}: the Fisher matrix of another model than {start}",
            expected="that of the starting model (init_from)",
            remedy=_REMEDY,
        )
    return known
