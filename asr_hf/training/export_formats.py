"""The one list of what `asr-hf export` writes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ExportFormat:
    """A form that another program reads, written by the module `asr_hf.stages.exports.<name>`.

    Args:
        writes: names of the files, and what they are for.
        of_layers: the form spells out the layers of a network; only models that describe
            themselves (`AcousticModel.describe`) have it.
    """

    writes: str
    of_layers: bool = False


FORMATS = {
    "loglikes": ExportFormat(
        "<set>/loglikes.ark and .scp: posteriors over priors, for Kaldi's latgen-faster-mapped"
    ),
    "priors": ExportFormat("priors.vec, a Kaldi vector"),
    "nnet1": ExportFormat(
        "final.nnet for nnet-forward, as text, with priors.vec for --class-frame-counts",
        of_layers=True,
    ),
    "nnet3": ExportFormat(
        "final.raw as text with final.config; final.mdl too, with the HMMs of the alignments",
        of_layers=True,
    ),
    "vosk": ExportFormat(
        "vosk-<language>/, a model folder for Vosk; export.word_times=false without word times",
        of_layers=True,
    ),
    "onnx": ExportFormat(
        "model.onnx, from frames of an utterance to log posteriors and log likelihoods",
        of_layers=True,
    ),
    "ctm": ExportFormat("<set>/words.ctm of what asr-hf decode found, in times of the recordings"),
    "stm": ExportFormat("<set>/ref.stm of the reference transcripts"),
}


def formats_of_layers() -> list[str]:
    """Return the names of the forms that spell out a network's layers."""
    return [name for name, form in FORMATS.items() if form.of_layers]
