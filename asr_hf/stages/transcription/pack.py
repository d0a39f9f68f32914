"""Packs: all that transcription needs of a run, in one file or folder that can be moved."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from asr_hf import __version__
from asr_hf.data.fbank import FbankOptions
from asr_hf.hmm.graph.states import states_digest
from asr_hf.hmm.system import HmmSystem, graph_folder
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_json
from asr_hf.settings.maker import make
from asr_hf.settings.settings import Settings
from asr_hf.stages.recognition.recognisers import SystemWords, search_options
from asr_hf.stages.sources.expected import states_fit
from asr_hf.stages.sources.layout import system_folder
from asr_hf.stages.transcription.frames import Frontend
from asr_hf.stages.transcription.normalisation import Normalisation
from asr_hf.stages.transcription.pack_files import (
    FORMAT,
    HMM,
    MANIFEST,
    check_files,
    described_files,
    manifest,
    new_pack,
    refuse,
    unpacked,
)
from asr_hf.stages.transcription.speech_model import SpeechModel, speech_model, weights_of
from asr_hf.training.model_file import FILE_NAME, load_model

# Settings of decoding that a pack brings along.
_DECODE = ("beam", "lattice_beam", "lattice_scale", "max_active", "max_arcs_per_frame")


def write_pack(settings: Settings, target: Path) -> int:
    """Pack a run.

    Args:
        settings: settings of the run.
        target: file, if its name ends in .asrhf, otherwise folder; an old pack is replaced.

    Returns:
        The size of the pack (bytes).

    Raises:
        InputError: the run cannot be packed, see `speech_model`; or something else is at `target`.
    """
    if settings.decode.graph is not None:
        raise InputError(
            "decode.graph: a graph of Kaldi's cannot be packed",
            expected="a run that decodes with the graphs of asr-hf align",
        )
    # What stands in the place of the pack is looked at before the model is loaded.
    with new_pack(target) as folder:
        model = speech_model(settings)
        # What is read without a class that the command names can be read anywhere.
        load_model(settings.run_dir / FILE_NAME)
        _fill(folder, settings, model)
    files = [target] if target.is_file() else [p for p in target.rglob("*") if p.is_file()]
    return sum(path.stat().st_size for path in files)


def _fill(folder: Path, settings: Settings, model: SpeechModel) -> None:
    """Write the files of a pack, and what they are."""
    hmms = system_folder(settings)
    shutil.copyfile(settings.run_dir / FILE_NAME, folder / FILE_NAME)
    system = HmmSystem.load(hmms)
    system.gmm = None
    system.save(folder / HMM)
    for language in system.languages:
        graph = graph_folder(folder / HMM, language)
        graph.mkdir(parents=True)
        shutil.copyfile(graph_folder(hmms, language) / "HCLG.fst", graph / "HCLG.fst")
    about = {
        "format": FORMAT,
        "asr_hf": __version__,
        "name": settings.name,
        "corpus": settings.corpus.name,
        "languages": list(system.languages),
        "fbank": model.frontend.options.to_dict(),
        "normalisation": model.frontend.normalisation.to_dict(),
        "weights": asdict(model.weights),
        "decode": {key: settings.plain(f"decode.{key}") for key in _DECODE},
        "files": described_files(folder),
    }
    write_json(folder / MANIFEST, about)


def pack_overrides(path: Path) -> list[str]:
    """Return the settings of decoding that a pack brings along, as overrides.

    Raises:
        InputError: the path is no pack, or the pack is damaged.
    """
    with unpacked(path, everything=False) as folder:
        decode = manifest(folder, path).get("decode")
    if (
        not isinstance(decode, dict)
        or decode.keys() != set(_DECODE)
        or not all(type(value) in (int, float, type(None)) for value in decode.values())
    ):
        refuse(path, f"settings of decoding are {str(decode)[:80]}")
    return [f"decode.{k}={'null' if v is None else v}" for k, v in decode.items()]


class _PackedWords(SystemWords):
    """The words of a pack.

    Attributes:
        kept: keeps the folder that the graphs lie in.
    """

    kept: ExitStack | None = None


def model_of(pack: Path | None, settings: Settings) -> SpeechModel:
    """Return what a pack holds, or the run of the settings where there is none."""
    return speech_model(settings) if pack is None else read_pack(pack, settings)


def read_pack(path: Path, settings: Settings) -> SpeechModel:
    """Read a pack.

    Args:
        path: the pack.
        settings: settings of the command.

    Returns:
        What it holds.

    Raises:
        InputError: the path is no pack, or the pack is damaged or of a later version.
    """
    with ExitStack() as stack:
        folder = stack.enter_context(unpacked(path))
        about = manifest(folder, path)
        check_files(folder, about.get("files"), path)
        system = HmmSystem.load(folder / HMM)
        network, trained = load_model(folder / FILE_NAME)
        states_fit(states_digest(folder / HMM), trained, path / FILE_NAME, folder / HMM)
        frontend = _frontend(about, path)
        fed = frontend.options.num_mel_bins, system.transitions.num_pdfs
        if fed != (network.feature_dim, network.num_pdfs):
            refuse(
                path,
                f"a network from {network.feature_dim} features to {network.num_pdfs} states "
                f"beside {fed[0]} features and {fed[1]} states",
            )
        source = system.decoder_source(folder / HMM, search_options(settings))
        words, weights = _PackedWords(system, source), weights_of(about.get("weights"), path)
        # Only what is wholly read keeps the folder.
        words.kept = stack.pop_all()
    return SpeechModel(network, frontend, words, weights)


def _frontend(about: dict[str, Any], path: Path) -> Frontend:
    try:
        if about["fbank"].keys() != FbankOptions().to_dict().keys():
            refuse(path, f"options of the filterbank are {str(about['fbank'])[:80]}")
        options = make(FbankOptions, about["fbank"], "fbank")
        return Frontend(options, Normalisation.of(about["normalisation"], options.num_mel_bins))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        refuse(path, str(error))
