"""Makes the denominator lattices of whole sets, in parts that a killed run can go on from."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from asr_hf.data.lattice_store import LatticeStore
from asr_hf.data.lattice_writer import write_lattices
from asr_hf.data.store import FrameStore
from asr_hf.hmm.alignment.corpus import transcripts_of
from asr_hf.hmm.alignment.spoken_path import Transcript
from asr_hf.hmm.lattice.lattices import (
    LatticeFacts,
    LatticeJob,
    LatticeResult,
    LatticeSource,
    label_map,
    make_lattices,
)
from asr_hf.hmm.system import HmmSystem
from asr_hf.runtime.artefact import current, current_or_make, make_anew
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.progress import progress
from asr_hf.runtime.provenance import ArtefactSpec, Source
from asr_hf.runtime.skips import SkipList
from asr_hf.settings.settings import Settings
from asr_hf.stages.recognition.lattice_statistics import statistics
from asr_hf.stages.recognition.score_sources import ScoreSource
from asr_hf.stages.recognition.search_bounds import SearchBounds
from asr_hf.stages.recognition.select_checkpoint import MODEL_FILE
from asr_hf.stages.sources.expected import store_source
from asr_hf.stages.sources.layout import lattices_folder, store_folder
from asr_hf.stages.sources.sets import read_set

log = logging.getLogger(__name__)

# Utterances that a killed run may have to make again.
_PART = 200


class LatticeMaker:
    """Makes the lattices of whole sets with the same network and graphs.

    Args:
        settings: settings of the command.
        system: HMM system.
        run_dir: folder of the run that the network is from.
        source: graphs and options of the search.
        graphs: sources that identify the graphs, by their role.
        scores: log likelihoods [frames, pdfs] of a set's utterances.
    """

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
        """Make the lattices of the set `name`, unless they are current; return their record."""
        folder, store = lattices_folder(self.settings, name), _store(self.settings, name)
        data = read_set(self.settings, name)
        transcripts = transcripts_of(data, list(self.system.languages))
        drawn = spread(store.num_units, self.settings.lattices.utterances)
        spec = self._spec(store, transcripts, len(drawn))
        skips = SkipList(
            f"lattices of {name}", self.settings.lattices.max_skipped, "lattices.max_skipped"
        )

        def make(part: Path) -> dict[str, Any]:
            parts = self._parts(name, store, transcripts, drawn, spec)
            about, figures = self._about(skips, parts, len(drawn))
            lattices = (
                chunk.lattice(utterance) for chunk in parts for utterance in chunk.utterances
            )
            write_lattices(part, lattices, label_map(self.system), about)
            return {"statistics": figures, "skipped": skips.reasons}

        made = current_or_make(folder, spec, make, whole=True, skips=(skips, len(drawn)))
        shutil.rmtree(_parts_folder(folder), ignore_errors=True)
        return made.about

    def _spec(
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
        spec: ArtefactSpec,
    ) -> list[LatticeStore]:
        """Make the parts of a set that a killed run has not left behind; return all parts."""
        folder = _parts_folder(lattices_folder(self.settings, name))
        count = -(-len(drawn) // _PART)
        paths = [folder / f"{number:05d}" for number in range(count)]
        missing = [n for n, path in enumerate(paths) if current(path, spec) is None]
        if len(missing) < count:
            log.info("%s: %d of %d parts are there already", name, count - len(missing), count)
        units = np.zeros(store.num_units, bool)
        for number in missing:
            units[drawn[number * _PART :][:_PART]] = True
        jobs = self._jobs(name, store, transcripts, units)
        lengths = np.diff(store.offsets)
        bar: Any = progress(
            desc=f"lattices of {name}", total=int(lengths[units].sum()), unit="frames"
        )
        with bar, make_lattices(self.source, jobs, self.settings.lattices.jobs) as results:
            for number in missing:
                start, numbers = time.perf_counter(), drawn[number * _PART :][:_PART]
                chunk = []
                for length, result in zip(lengths[numbers].tolist(), results, strict=False):
                    chunk.append(result)
                    bar.update(length)
                seconds = time.perf_counter() - start
                make_anew(
                    paths[number], spec, partial(self._write_part, chunk, seconds), whole=True
                )
        return [LatticeStore.open(path) for path in paths]

    def _jobs(
        self,
        name: str,
        store: FrameStore,
        transcripts: dict[str, Transcript],
        needed: np.ndarray,
    ) -> Iterator[LatticeJob]:
        """Yield the work on the utterances whose entry in `needed` [units] is set."""
        if not needed.any():
            return
        for unit, (utterance, log_likelihoods) in enumerate(self.scores(name)):
            assert utterance == store.utterances[unit]
            if not needed[unit]:
                continue
            if utterance not in transcripts:
                raise InputError(
                    f"{store.folder}: utterance {utterance} is not in {name}",
                    remedy="run asr-hf align again after changing the data",
                )
            labels = store.read(np.array([unit])).labels[:: self.system.subsampling]
            alignment = labels.numpy().astype(np.int32)
            yield LatticeJob(utterance, transcripts[utterance], alignment, log_likelihoods)

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
        """Return what lattices.json says besides the counts, and the statistics of the set.

        Args:
            skips: list that the skipped utterances are added to.
            parts: lattices of the set.
            total: number of utterances whose lattices were made or skipped.

        Raises:
            InputError: too many utterances were skipped.
        """
        facts: dict[str, LatticeFacts] = {}
        for part in parts:
            facts |= {u: LatticeFacts(**fields) for u, fields in part.about["facts"].items()}
            for utterance, reason in part.about["skipped"].items():
                skips.add(utterance, reason)
        skips.check(total)
        shift = self.system.subsampling * self.settings.features.frame_shift / 1000
        seconds = sum(part.about["seconds"] for part in parts)
        figures = statistics(facts, skips.reasons, shift, seconds)
        log.info("%s: the reference was merged into %d lattices", skips.stage, figures["merged"])
        options = self.settings.lattices
        bounds = SearchBounds("lattices", options.max_active, options.max_arcs_per_frame)
        for utterance, fact in facts.items():
            bounds.add(utterance, fact.frames, fact.limited_frames, fact.narrowed)
        bounds.log(skips.stage)
        about = {
            "from_run": str(self.settings.lattices.from_run),
            "options": asdict(self.source.options) | {"lm_order": self.settings.lattices.lm_order},
            "drawn": total,
            "merged": [u for u, f in facts.items() if f.merged],
            **bounds.about(),
            "skipped": skips.reasons,
        }
        return about, figures


def spread(count: int, limit: int | None) -> np.ndarray:
    """Draw utterances at equal distances.

    Args:
        count: number of utterances.
        limit: largest number of utterances drawn; None for all.

    Returns:
        The numbers of the drawn utterances [min(count, limit)], in ascending order.
    """
    if limit is None or limit >= count:
        return np.arange(count)
    return (np.arange(limit) * count) // limit


def _parts_folder(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.parts")


def _store(settings: Settings, name: str) -> FrameStore:
    """Return the frame store of a set.

    Raises:
        InputError: the store is missing, or holds no labels.
    """
    store = FrameStore.open(store_folder(settings, name))
    if not store.labelled:
        raise InputError(f"{store.folder}: this store has no labels", remedy="run asr-hf align")
    return store
