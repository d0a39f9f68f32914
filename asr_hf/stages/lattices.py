"""Make denominator lattices of a corpus's sets with a trained network."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.lattice_store import LatticeStore
from asr_hf.data.lattice_writer import write_lattices
from asr_hf.data.store import FrameStore
from asr_hf.hmm.alignment.align import Transcript
from asr_hf.hmm.alignment.corpus import transcripts_of
from asr_hf.hmm.graph.weak_lm import weak_lm
from asr_hf.hmm.lattice.lattices import (
    LatticeFacts,
    LatticeJob,
    LatticeOptions,
    LatticeResult,
    LatticeSource,
    label_map,
    make_lattices,
)
from asr_hf.hmm.scores import Scores
from asr_hf.hmm.system import HmmSystem
from asr_hf.runtime.artefact import current, current_or_make, make_anew
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_text
from asr_hf.runtime.progress import progress
from asr_hf.runtime.provenance import ArtefactSpec, Source
from asr_hf.runtime.skips import SkipList
from asr_hf.settings.settings import Settings
from asr_hf.stages.recognition.kaldi_lattices import import_lattices
from asr_hf.stages.recognition.lattice_statistics import statistics, table
from asr_hf.stages.recognition.select_checkpoint import MODEL_FILE
from asr_hf.stages.sources.expected import store_source
from asr_hf.stages.sources.layout import (
    chosen_by,
    decoding_scale,
    lattices_folder,
    store_folder,
    system_folder,
)

log = logging.getLogger(__name__)

ScoreSource = Callable[[str], Iterator[tuple[str, Scores]]]

# Utterances that a killed run may have to make again.
_PART = 200


def run(settings: Settings, scores: ScoreSource | None = None) -> dict[str, Any]:
    """Make the lattices of `lattices.sets`; what is there, made from the same input, is kept.

    With `lattices.from_kaldi` they are Kaldi's.

    Args:
        settings: settings of the command.
        scores: log likelihoods of a set's utterances, in the frame store's order; by default
            those of the network of `lattices.from_run`.

    Returns:
        The statistics of each set.

    Raises:
        InputError: data or network are missing, the scale is not known, or too many utterances
            have no lattice.
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
        acoustic_scale=decoding_scale(run_dir) if scale is None else scale,
        max_arcs_per_frame=options.max_arcs_per_frame,
        max_frames=options.max_frames,
    )
    folder, graphs = _graphs(settings, system)
    source = LatticeSource(hmms, folder, search)
    making = _Making(
        settings, system, run_dir, source, graphs, scores or _network_scores(settings, run_dir)
    )
    found = {name: making.set(name)["statistics"] for name in options.sets}
    print(table(found))
    return found


class _Making:
    """Makes whole sets; what stays the same between them."""

    def __init__(
        self,
        settings: Settings,
        system: HmmSystem,
        run_dir: Path,
        source: LatticeSource,
        graphs: dict[str, Source],
        scores: ScoreSource,
    ) -> None:
        self.settings, self.system, self.source, self.scores = settings, system, source, scores
        self._graphs = graphs
        self._network = Source.of_file(run_dir / MODEL_FILE)

    def set(self, name: str) -> dict[str, Any]:
        """Make the lattices of the set `name`, unless they are there; what is said of them."""
        folder, store = lattices_folder(self.settings, name), _store(self.settings, name)
        data = DataDir.read(self.settings.corpus.dir / name)
        transcripts = transcripts_of(data, list(self.system.languages))
        drawn = spread(store.num_units, self.settings.lattices.utterances)
        wanted = self._wanted(store, transcripts, len(drawn))
        skips = SkipList(
            f"lattices of {name}", self.settings.lattices.max_skipped, "lattices.max_skipped"
        )

        def make(part: Path) -> dict[str, Any]:
            parts = self._parts(name, store, transcripts, drawn, wanted)
            about, figures = self._about(skips, parts, len(drawn))
            lattices = (one.lattice(utterance) for one in parts for utterance in one.utterances)
            write_lattices(part, lattices, label_map(self.system), about)
            return {"statistics": figures, "skipped": skips.reasons}

        made = current_or_make(folder, wanted, make, whole=True, skips=(skips, len(drawn)))
        shutil.rmtree(_parts_folder(folder), ignore_errors=True)
        return made.about

    def _wanted(
        self, store: FrameStore, transcripts: dict[str, Transcript], drawn: int
    ) -> ArtefactSpec:
        text = [[u, list(t.words), t.language] for u, t in transcripts.items()]
        options = asdict(self.source.options) | {"lm_order": self.settings.lattices.lm_order}
        recorded = {f"lattices.{key}": value for key, value in options.items()}
        sources = {
            "network": self._network,
            "store": store_source(self.settings, store.folder),
            "transcripts": Source.of_values(text),
            "drawn": Source.of_values(drawn),
        }
        return ArtefactSpec("lattices", recorded, sources | self._graphs)

    def _parts(
        self,
        name: str,
        store: FrameStore,
        transcripts: dict[str, Transcript],
        drawn: np.ndarray,
        wanted: ArtefactSpec,
    ) -> list[LatticeStore]:
        """The set in parts, those made that a killed run has not left."""
        folder = _parts_folder(lattices_folder(self.settings, name))
        count = -(-len(drawn) // _PART)
        paths = [folder / f"{number:05d}" for number in range(count)]
        missing = [n for n, path in enumerate(paths) if current(path, wanted) is None]
        if len(missing) < count:
            log.info("%s: %d of %d parts are there already", name, count - len(missing), count)
        units = np.zeros(store.num_units, bool)
        for number in missing:
            units[drawn[number * _PART :][:_PART]] = True
        jobs = self._jobs(name, store, transcripts, units)
        with make_lattices(self.source, jobs, self.settings.lattices.jobs) as results:
            made = progress(results, desc=f"lattices of {name}", total=int(units.sum()), unit="utt")
            each = iter(made)
            for number in missing:
                start, size = time.perf_counter(), drawn[number * _PART :][:_PART].size
                chunk = list(islice(each, size))
                seconds = time.perf_counter() - start
                make_anew(
                    paths[number], wanted, partial(self._write_part, chunk, seconds), whole=True
                )
        return [LatticeStore.open(path) for path in paths]

    def _jobs(
        self,
        name: str,
        store: FrameStore,
        transcripts: dict[str, Transcript],
        wanted: np.ndarray,
    ) -> Iterator[LatticeJob]:
        if not wanted.any():
            return
        for unit, (utterance, log_likelihoods) in enumerate(self.scores(name)):
            assert utterance == store.utterances[unit]
            if not wanted[unit]:
                continue
            if utterance not in transcripts:
                raise InputError(
                    f"{store.folder}: utterance {utterance} is not in {name}",
                    remedy="run asr-hf align again after changing the data",
                )
            labels = store.read(np.array([unit])).labels.numpy().astype(np.int32)
            yield LatticeJob(utterance, transcripts[utterance], labels, log_likelihoods)

    def _write_part(self, chunk: list[LatticeResult], seconds: float, path: Path) -> dict[str, Any]:
        about = {
            "facts": {made.utterance: asdict(made.facts) for made in chunk if made.facts},
            "skipped": {made.utterance: made.reason for made in chunk if made.lattice is None},
            "seconds": seconds,
        }
        lattices = (made.lattice for made in chunk if made.lattice is not None)
        write_lattices(path, lattices, label_map(self.system), about)
        return {}

    def _about(
        self, skips: SkipList, parts: list[LatticeStore], total: int
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Sum up what the parts of a set say of themselves.

        Returns:
            What lattices.json says beside the counts; and statistics, the time it took among them.

        Raises:
            InputError: too many utterances were skipped.
        """
        facts: dict[str, LatticeFacts] = {}
        for part in parts:
            facts |= {u: LatticeFacts(**found) for u, found in part.about["facts"].items()}
            for utterance, reason in part.about["skipped"].items():
                skips.add(utterance, reason)
        skips.check(total)
        shift = self.settings.features.frame_shift / 1000
        seconds = sum(part.about["seconds"] for part in parts)
        figures = statistics(facts, skips.reasons, shift, seconds)
        log.info("%s: the reference was merged into %d lattices", skips.stage, figures["merged"])
        about = {
            "from_run": str(self.settings.lattices.from_run),
            "options": asdict(self.source.options) | {"lm_order": self.settings.lattices.lm_order},
            "drawn": total,
            "merged": [u for u, f in facts.items() if f.merged],
            "narrowed": [u for u, f in facts.items() if f.narrowed],
            "skipped": skips.reasons,
        }
        return about, figures


def spread(count: int, most: int | None) -> np.ndarray:
    """Numbers of `most` of `count` utterances, at equal distances; all where there are no more."""
    if most is None or most >= count:
        return np.arange(count)
    return (np.arange(most) * count) // most


def _parts_folder(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.parts")


def _graphs(settings: Settings, system: HmmSystem) -> tuple[Path, dict[str, Source]]:
    """Make each language's weak language model and graph; their folder, and what they are."""
    corpus, order = settings.corpus.dir, settings.lattices.lm_order
    folder = lattices_folder(settings, "graph").parent
    models = {}
    for name, language in system.languages.items():
        text = weak_lm(corpus / "lang" / name / "lm_text", language.lexicon, order)
        models[name] = folder / "lm" / f"{name}.arpa"
        write_text(models[name], text)
    return folder, system.make_graphs(folder, models)


def _store(settings: Settings, name: str) -> FrameStore:
    store = FrameStore.open(store_folder(settings, name))
    if not store.about["labelled"]:
        raise InputError(f"{store.folder}: this store has no labels", remedy="run asr-hf align")
    return store


def _network_scores(settings: Settings, run_dir: Path) -> ScoreSource:
    # Lattices of given scores need none of the network's libraries.
    from asr_hf.stages.recognition.network_scores import NetworkScores

    return NetworkScores(settings, run_dir / MODEL_FILE).stored
