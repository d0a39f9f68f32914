"""Write a trained model, its scores, or what was recognised, for other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig

from asr_hf.data.ark import ArkWriter
from asr_hf.data.audio_check import measure
from asr_hf.data.fields import words_of
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.kaldi.network import Network, network_of
from asr_hf.kaldi.nnet1 import write_nnet1
from asr_hf.kaldi.nnet3 import nnet3_config, write_nnet3, write_nnet3_acoustic_model
from asr_hf.kaldi.onnx_model import write_onnx
from asr_hf.kaldi.transition_model import read_transition_model
from asr_hf.kaldi.writer import KaldiWriter
from asr_hf.models.acoustic import AcousticModel
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import atomic_path, write_text
from asr_hf.runtime.progress import progress
from asr_hf.scoring.ctm import StmSegment, write_ctm, write_stm
from asr_hf.stages.decode import network_scores
from asr_hf.stages.external import alignment_folders, alignments_from_outside, pack_external
from asr_hf.stages.recordings import file_and_channel, recognised_words, utterances_of
from asr_hf.training.model_file import FILE_NAME, load_model

Exporter = Callable[[DictConfig, Path], list[Path]]


def run(config: DictConfig) -> dict[str, Any]:
    """Write `export.format` of the run in `run_dir` into <run_dir>/export.

    Returns:
        The files that were written.

    Raises:
        InputError: there is no trained model, or no such format, or the format cannot hold it.
    """
    exporter = _EXPORTERS.get(str(config.export.format))
    if exporter is None:
        raise InputError(
            f"export.format={config.export.format}: there is no such format",
            expected=f"one of {', '.join(_EXPORTERS)}",
        )
    return {"files": exporter(config, Path(config.run_dir) / "export")}


def _network(config: DictConfig) -> tuple[Network, dict[str, Any]]:
    model, about = _model(config)
    return network_of(model), about


def _model(config: DictConfig) -> tuple[AcousticModel, dict[str, Any]]:
    return load_model(Path(config.run_dir) / FILE_NAME, config)


def _loglikes(config: DictConfig, folder: Path) -> list[Path]:
    if alignments_from_outside(config):
        pack_external(config)
    scores, written = network_scores(config, Path(config.run_dir)), []
    for name in config.export.sets:
        entries = progress(scores(name), desc=f"scores of {name}", unit="utt")
        if config.export.text:
            written.append(_text_ark(folder / name / "loglikes.txt", entries))
            continue
        with ArkWriter(folder / name, "loglikes") as ark:
            for utterance, matrix in entries:
                ark.write(utterance, matrix)
        written += [ark.ark, ark.scp]
    return written


def _text_ark(path: Path, entries: Iterable[tuple[str, np.ndarray]]) -> Path:
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        for utterance, matrix in entries:
            writer = KaldiWriter(binary=False)
            writer.text(f"{utterance} ")
            writer.matrix(matrix)
            file.write(writer.contents())
    return path


def _priors(config: DictConfig, folder: Path) -> list[Path]:
    log_priors = _model(config)[0].log_priors.float().numpy()
    return [_write_priors(log_priors, folder, bool(config.export.text))]


def _write_priors(log_priors: np.ndarray, folder: Path, text: bool) -> Path:
    writer = KaldiWriter(binary=not text)
    writer.vector(np.exp(log_priors))
    return writer.save(folder / "priors.vec")


def _nnet1(config: DictConfig, folder: Path) -> list[Path]:
    network, _ = _network(config)
    writer = KaldiWriter(binary=False)
    write_nnet1(network, writer)
    return [
        writer.save(folder / "final.nnet"),
        _write_priors(network.log_priors, folder, text=True),
    ]


def _nnet3(config: DictConfig, folder: Path) -> list[Path]:
    network, _ = _network(config)
    writer = KaldiWriter(binary=False)
    write_nnet3(network, writer)
    written = [writer.save(folder / "final.raw"), folder / "final.config"]
    write_text(written[1], nnet3_config(network))
    if config.alignment.get("from_kaldi") is not None:
        written.append(_nnet3_model(config, network, folder / "final.mdl"))
    return written


def _nnet3_model(config: DictConfig, network: Network, path: Path) -> Path:
    source = alignment_folders(config)[0] / "final.mdl"
    transitions = read_transition_model(source)
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


def _onnx(config: DictConfig, folder: Path) -> list[Path]:
    network, about = _network(config)
    path = folder / "model.onnx"
    facts = {"corpus": about["corpus"], "features": about["features"], "pdfs": network.num_pdfs}
    write_onnx(path, network, {key: str(value) for key, value in facts.items()})
    return [path]


def _ctm(config: DictConfig, folder: Path) -> list[Path]:
    written = []
    for name in config.export.sets:
        written.append(folder / name / "words.ctm")
        write_ctm(written[-1], recognised_words(config, name))
    return written


def _stm(config: DictConfig, folder: Path) -> list[Path]:
    written = []
    for name in config.export.sets:
        named, utterances = file_and_channel(config, name), utterances_of(config, name).values()
        segments = [_segment(config, name, u, *named(u)) for u in utterances]
        written.append(folder / name / "ref.stm")
        write_stm(written[-1], segments)
    return written


def _segment(
    config: DictConfig, name: str, utterance: Utterance, file: str, channel: str
) -> StmSegment:
    if utterance.text is None:
        raise InputError(
            f"{config.corpus.dir}/{name}/text: utterance {utterance.id} has no transcript",
            remedy="an stm holds references: add it, or leave the set out of export.sets",
        )
    start = utterance.start or 0.0
    end = utterance.end if utterance.end is not None else start + _seconds(config, name, utterance)
    words = tuple(words_of(utterance.text))
    return StmSegment(file, channel, utterance.speaker, start, end, words)


def _seconds(config: DictConfig, name: str, utterance: Utterance) -> float:
    """How long a whole recording is."""
    wav = DataDir.read(Path(config.corpus.dir) / name).wavs[utterance.recording]
    size = measure(wav)
    if isinstance(size, str):
        raise InputError(
            f"{wav}: its length cannot be read: {size}",
            expected="an audio file",
            remedy="give every utterance its end in segments",
        )
    return size.seconds


_EXPORTERS: dict[str, Exporter] = {
    "loglikes": _loglikes,
    "priors": _priors,
    "nnet1": _nnet1,
    "nnet3": _nnet3,
    "onnx": _onnx,
    "ctm": _ctm,
    "stm": _stm,
}
