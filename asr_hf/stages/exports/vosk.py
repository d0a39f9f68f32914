"""Writes a model folder for Vosk."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from asr_hf.data.cmvn import CmvnMode
from asr_hf.data.fbank import FbankOptions
from asr_hf.hmm.graph import fst as fsts
from asr_hf.hmm.graph.fst import Fst
from asr_hf.hmm.graph.kaldi_transitions import kaldi_transitions
from asr_hf.hmm.graph.lexicon import SILENCE_PHONES
from asr_hf.hmm.graph.word_positions import MarkedPhones
from asr_hf.hmm.search.rescore import SearchWeights
from asr_hf.hmm.system import HmmSystem
from asr_hf.kaldi.network import Network, network_of
from asr_hf.kaldi.nnet3 import write_nnet3_acoustic_model
from asr_hf.kaldi.writer import KaldiWriter
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import replaced_folder, write_text
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.layout import system_folder
from asr_hf.stages.transcription.normalisation import Normalisation
from asr_hf.stages.transcription.speech_model import SpeechModel, speech_model

log = logging.getLogger(__name__)

# The distance of two frames in Vosk's word times (ms), whatever the network emits.
_VOSK_SHIFT = 30.0
# Vosk multiplies the graph's scores by this before it chooses among the paths of its lattice.
_GRAPH_SCALE = 0.9


def write(settings: Settings, folder: Path) -> list[Path]:
    """Write vosk-<language> for each language of the run.

    The decoding weights are those that `asr-hf decode` has chosen: the acoustic scale stands in
    conf/model.conf, the insertion penalty in the graph.

    Args:
        settings: settings of the command.
        folder: folder of the export.

    Returns:
        The folders that were written.

    Raises:
        InputError: the run cannot be exported, see `speech_model`; or Vosk cannot normalise
            features as its training did; or its word times would be wrong.
    """
    if settings.decode.graph is not None:
        raise InputError(
            "decode.graph: a graph of Kaldi's is not exported",
            expected="a run that decodes with the graphs of asr-hf align",
        )
    model = speech_model(settings)
    _check_normalisation(model.frontend.normalisation)
    _check_times(settings, model)
    network = network_of(model.network)
    system = HmmSystem.load(system_folder(settings))
    marked = MarkedPhones.of(system.phones, system.transitions, system.languages)
    written = []
    for name in system.languages:
        path = folder / f"vosk-{name}"
        with replaced_folder(path) as made:
            _write_model(made, settings, model, network, marked, system)
            _write_graph(made / "graph", settings, marked, name, model.weights)
        written.append(path)
    return written


def _check_normalisation(normalisation: Normalisation) -> None:
    """Refuse features that are normalised: Vosk 0.3.45 subtracts one mean from all recordings.

    It reads statistics for online CMVN, but takes their mean alone, as the network itself does with
    the mean of its inputs.

    Raises:
        InputError: features are normalised.
    """
    if normalisation.mode is not CmvnMode.NONE:
        raise InputError(
            f"features.cmvn={normalisation.mode.value}: Vosk knows no mean of a recording",
            expected="features.cmvn=none in training",
            remedy="asr-hf features, align and train with features.cmvn=none",
        )


def _check_times(settings: Settings, model: SpeechModel) -> None:
    shift = model.network.subsampling * model.frontend.options.frame_shift
    if shift == _VOSK_SHIFT:
        return
    if settings.export.word_times:
        raise InputError(
            f"model.subsampling={model.network.subsampling}: a frame every {shift:g} ms, for which "
            f"Vosk's word times would be {_VOSK_SHIFT / shift:.3g} times too long",
            expected=f"a frame every {_VOSK_SHIFT:g} ms",
            remedy="align and train with model.subsampling=3; or export.word_times=false, and do "
            "without word times",
        )
    log.warning("Vosk's word times will be %.3g times too long", _VOSK_SHIFT / shift)


def _write_model(
    folder: Path,
    settings: Settings,
    model: SpeechModel,
    network: Network,
    marked: MarkedPhones,
    system: HmmSystem,
) -> None:
    """Write am/ and conf/."""
    writer = KaldiWriter(binary=True)
    kaldi_transitions(marked.transitions).write(writer)
    write_nnet3_acoustic_model(network, writer)
    writer.save(folder / "am" / "final.mdl")
    write_text(folder / "conf" / "fbank.conf", _fbank_conf(model.frontend.options))
    silences = [
        number
        for number, origin in enumerate(marked.origin)
        if number and system.phones.symbols[origin] in SILENCE_PHONES
    ]
    limit = settings.decode.max_active
    options = {
        "min-active": 200,
        "max-active": 1_000_000_000 if limit is None else limit,
        "beam": settings.decode.beam,
        "lattice-beam": settings.decode.lattice_beam,
        "acoustic-scale": _GRAPH_SCALE * model.weights.acoustic_scale / model.weights.lm_scale,
        "frame-subsampling-factor": network.subsampling,
        "endpoint.silence-phones": ":".join(map(str, silences)),
    }
    text = "".join(
        f"--{key}={value:g}\n" if isinstance(value, float) else f"--{key}={value}\n"
        for key, value in options.items()
    )
    write_text(folder / "conf" / "model.conf", text)


def _fbank_conf(options: FbankOptions) -> str:
    values = {
        "sample-frequency": options.sample_rate,
        "num-mel-bins": options.num_mel_bins,
        "low-freq": options.low_freq,
        "high-freq": options.high_freq,
        "window-type": options.window,
        "frame-length": options.frame_length,
        "frame-shift": options.frame_shift,
        "preemphasis-coefficient": options.preemphasis,
        "dither": 0,
        "use-energy": "false",
        "snip-edges": "true",
    }
    return "".join(f"--{key}={value}\n" for key, value in values.items())


def _write_graph(
    folder: Path, settings: Settings, marked: MarkedPhones, name: str, weights: SearchWeights
) -> None:
    """Write graph/."""
    language = marked.languages[name]
    arpa = settings.corpus.dir / "lang" / name / "lm.arpa"
    graph = language.decoding_graph(arpa, marked.transitions)
    if weights.insertion_penalty:
        graph = _penalised(graph, len(language.words), weights.insertion_penalty / weights.lm_scale)
    fsts.write(graph, folder / "HCLG.fst")
    write_text(folder / "words.txt", language.words.text())
    write_text(folder / "phones.txt", marked.phones.text())
    write_text(folder / "phones" / "word_boundary.int", marked.word_boundaries())


def _penalised(graph: Fst, words: int, cost: float) -> Fst:
    """Return a graph whose every word costs more."""
    arcs = [(0, 0, word, word, float(np.exp(-cost))) for word in range(1, words)]
    return fsts.compose(graph, fsts.build(arcs, [0], 1))
