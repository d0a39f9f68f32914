"""Writes a network for Kaldi's nnet-forward."""

from __future__ import annotations

from pathlib import Path

from asr_hf.kaldi.nnet1 import write_nnet1
from asr_hf.kaldi.writer import KaldiWriter
from asr_hf.runtime.errors import InputError
from asr_hf.settings.settings import Settings
from asr_hf.stages.exports.priors import write_priors
from asr_hf.stages.exports.trained import trained_network


def write(settings: Settings, folder: Path) -> list[Path]:
    """Write final.nnet and priors.vec, both as text.

    Args:
        settings: settings of the command.
        folder: folder of the export.

    Returns:
        The files that were written.

    Raises:
        InputError: there is no trained model, or nnet1 cannot hold it.
    """
    network, _ = trained_network(settings)
    if network.subsampling > 1:
        raise InputError(
            f"model.subsampling={network.subsampling}: nnet-forward emits every frame",
            expected="a network of every frame",
            remedy="asr-hf export nnet3, onnx or loglikes",
        )
    writer = KaldiWriter(binary=False)
    write_nnet1(network, writer)
    return [
        writer.save(folder / "final.nnet"),
        write_priors(network.log_priors, folder, text=True),
    ]
