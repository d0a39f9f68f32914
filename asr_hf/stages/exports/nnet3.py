"""Writes a network for Kaldi's nnet3 programs."""

from __future__ import annotations

from pathlib import Path

from asr_hf.hmm.graph.kaldi_transitions import kaldi_transitions
from asr_hf.hmm.system import HmmSystem
from asr_hf.kaldi.network import Network
from asr_hf.kaldi.nnet3 import nnet3_config, write_nnet3, write_nnet3_acoustic_model
from asr_hf.kaldi.transition_model import KaldiTransitionModel, read_transition_model
from asr_hf.kaldi.writer import KaldiWriter
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_text
from asr_hf.settings.settings import Settings
from asr_hf.stages.exports.trained import trained_network
from asr_hf.stages.sources.external import alignment_folders, alignments_from_outside
from asr_hf.stages.sources.layout import system_folder


def write(settings: Settings, folder: Path) -> list[Path]:
    """Write final.raw and final.config; and final.mdl, where the transition model is known.

    It is that of `alignment.from_kaldi`, or that of asr-hf's own alignments.

    Args:
        settings: settings of the command.
        folder: folder of the export.

    Returns:
        The files that were written.

    Raises:
        InputError: there is no trained model, nnet3 cannot hold it, or the transition model has
            another number of pdfs.
    """
    network, _ = trained_network(settings)
    writer = KaldiWriter(binary=False)
    write_nnet3(network, writer)
    written = [writer.save(folder / "final.raw"), folder / "final.config"]
    write_text(written[1], nnet3_config(network))
    if (known := _transitions(settings)) is not None:
        written.append(_acoustic_model(*known, network, folder / "final.mdl"))
    return written


def _transitions(settings: Settings) -> tuple[KaldiTransitionModel, Path] | None:
    """Return the transition model of the alignments and where it is from; None where there is none.

    Raises:
        InputError: it is damaged.
    """
    if settings.alignment.from_kaldi is not None:
        source = alignment_folders(settings)[0] / "final.mdl"
        return read_transition_model(source), source
    hmms = system_folder(settings)
    if alignments_from_outside(settings) or not (hmms / "hmm.json").is_file():
        return None
    return kaldi_transitions(HmmSystem.load(hmms).transitions), hmms


def _acoustic_model(
    transitions: KaldiTransitionModel, source: Path, network: Network, path: Path
) -> Path:
    if transitions.num_pdfs != network.num_pdfs:
        raise InputError(
            f"{source}: a model of {transitions.num_pdfs} pdfs",
            expected=f"{network.num_pdfs}, as the network has",
            remedy="name the alignments that the network was trained on",
        )
    writer = KaldiWriter(binary=False)
    transitions.write(writer)
    write_nnet3_acoustic_model(network, writer)
    return writer.save(path)
