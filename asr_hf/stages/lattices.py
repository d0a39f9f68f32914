"""Make denominator lattices of a corpus's sets with a trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from asr_hf.hmm.graph.weak_lm import weak_lm
from asr_hf.hmm.lattice.lattices import LatticeOptions, LatticeSource
from asr_hf.hmm.system import HmmSystem
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_text
from asr_hf.runtime.provenance import Source
from asr_hf.settings.settings import Settings
from asr_hf.stages.recognition.kaldi_lattices import import_lattices
from asr_hf.stages.recognition.lattice_maker import LatticeMaker
from asr_hf.stages.recognition.lattice_statistics import table
from asr_hf.stages.recognition.score_sources import ScoreSource
from asr_hf.stages.recognition.select_checkpoint import MODEL_FILE
from asr_hf.stages.sources.layout import chosen_by, decoding_scale, lattices_folder, system_folder


def run(settings: Settings, scores: ScoreSource | None = None) -> dict[str, Any]:
    """Make the denominator lattices of `lattices.sets`; keep those that are current.

    With `lattices.from_kaldi`, pack lattices that Kaldi made.

    Args:
        settings: settings of the command.
        scores: log likelihoods [frames, pdfs] of a set's utterances, in the order of its frame
            store; by default, those of the network of `lattices.from_run`.

    Returns:
        The statistics of each set.

    Raises:
        InputError: data or network are missing, the acoustic scale is not known, or too many
            utterances have no lattice.
    """
    options = settings.lattices
    if options.from_kaldi is not None:
        return import_lattices(settings)
    hmms = system_folder(settings)
    if options.from_run is None:
        raise InputError(
            "lattices.from_run=null: lattices are made with a trained network",
            expected="lattices.from_run=<run folder> of cross-entropy training",
            remedy=f"asr-hf train {chosen_by(settings)} first",
        )
    if not (hmms / "hmm.json").is_file():
        raise InputError(
            f"{hmms}: no HMM system to decode with",
            expected="phones and transition model made by asr-hf align",
            remedy=f"asr-hf align {chosen_by(settings)}",
        )
    run_dir = options.from_run
    system = HmmSystem.load(hmms)
    scale = options.acoustic_scale
    search = LatticeOptions(
        beam=options.beam,
        lattice_beam=options.lattice_beam,
        max_active=options.max_active,
        max_arcs_per_frame=options.max_arcs_per_frame,
        acoustic_scale=decoding_scale(run_dir) if scale is None else scale,
        max_frames=options.max_frames,
    )
    folder, graphs = _graphs(settings, system)
    source = LatticeSource(hmms, folder, search)
    maker = LatticeMaker(
        settings, system, run_dir, source, graphs, scores or _network_scores(settings, run_dir)
    )
    figures = {name: maker.set(name)["statistics"] for name in options.sets}
    print(table(figures))
    return figures


def _graphs(settings: Settings, system: HmmSystem) -> tuple[Path, dict[str, Source]]:
    """Make the weak language model and the graph of each language.

    Returns:
        The folder of the graphs, and the sources that identify them.
    """
    corpus, order = settings.corpus.dir, settings.lattices.lm_order
    folder = lattices_folder(settings, "graph").parent
    models = {}
    for name, language in system.languages.items():
        text = weak_lm(corpus / "lang" / name / "lm_text", language.lexicon, order)
        models[name] = folder / "lm" / f"{name}.arpa"
        write_text(models[name], text)
    return folder, system.make_graphs(folder, models)


def _network_scores(settings: Settings, run_dir: Path) -> ScoreSource:
    # Lattices of given scores need none of the network's libraries.
    from asr_hf.stages.recognition.network_scores import NetworkScores

    return NetworkScores(settings, run_dir / MODEL_FILE).stored
