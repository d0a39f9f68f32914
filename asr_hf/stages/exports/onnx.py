"""Writes a network for ONNX runtimes."""

from __future__ import annotations

from pathlib import Path

from asr_hf.kaldi.onnx_model import write_onnx
from asr_hf.settings.settings import Settings
from asr_hf.stages.exports.trained import trained_network


def write(settings: Settings, folder: Path) -> list[Path]:
    """Write model.onnx.

    Args:
        settings: settings of the command.
        folder: folder of the export.

    Returns:
        The files that were written.

    Raises:
        InputError: there is no trained model, its layers are not known, or onnx is not installed.
    """
    network, about = trained_network(settings)
    path = folder / "model.onnx"
    facts = {"corpus": about["corpus"], "features": about["features"], "pdfs": network.num_pdfs}
    write_onnx(path, network, {key: str(value) for key, value in facts.items()})
    return [path]
