"""Align a corpus: GMM flat start, forced alignment of every set, and the frame stores."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asr_hf.data.alignment import Alignments
from asr_hf.data.ark import ArkReader
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.hmm.alignment.align import align_set
from asr_hf.hmm.alignment.corpus import speaker_features, transcripts_of
from asr_hf.hmm.alignment.spoken_path import AlignOptions, Transcript
from asr_hf.hmm.graph.language import check_languages
from asr_hf.hmm.scores import Scores
from asr_hf.hmm.tree.sampled import label_frames
from asr_hf.runtime.artefact import current_or_make
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_text
from asr_hf.runtime.progress import progress
from asr_hf.runtime.provenance import ArtefactSpec, Source
from asr_hf.runtime.run_config import FILE_NAME as CONFIG
from asr_hf.runtime.run_config import read_run_config
from asr_hf.runtime.skips import SkipList
from asr_hf.settings.settings import Settings
from asr_hf.stages.recognition.score_sources import ScoreSource, network_scores, rate_of
from asr_hf.stages.recognition.select_checkpoint import MODEL_FILE
from asr_hf.stages.sources.alignment_files import write_ctm, write_fits
from asr_hf.stages.sources.expected import features_source
from asr_hf.stages.sources.external import alignments_from_outside, pack_external
from asr_hf.stages.sources.flat import flat_options
from asr_hf.stages.sources.hmms import CorpusHmms, corpus_hmms, transcripts_source
from asr_hf.stages.sources.layout import alignment_folder, features_folder, system_folder
from asr_hf.stages.sources.packing import pack
from asr_hf.stages.sources.perturbed import TrainedOn, frame_grid
from asr_hf.stages.sources.phone_graphs import PhoneGraphs
from asr_hf.stages.sources.transcript_graphs import TranscriptSets
from asr_hf.stages.sources.transfer_alignments import (
    carried_alignments,
    carried_ctm,
    clean_alignment,
    copies_source,
)
from asr_hf.stages.timing.timed_sets import TimedSets, TimesWanted

# Starting a process takes as long as aligning this many utterances.
_WORTH_A_PROCESS = 100
_KIND, _LIMIT = "alignments", "alignment.max_skipped"


def run(
    settings: Settings, scores: ScoreSource | None = None, times: TimesWanted | None = None
) -> dict[str, Any]:
    """Make the alignments and the frame stores of a corpus.

    The GMM flat start on the training set aligns all sets, with states tied in context where
    `alignment.tree` asks for that; `alignment.from_run` aligns them with a trained network instead,
    and `alignment.from_kaldi` and `alignment.from_ark` take alignments made elsewhere. A corpus of
    copies (`corpus.clean`) has the HMM system and alignments of its clean recordings. Altered
    copies of the training set (`features.perturb`) are in its store alone, with the labels of the
    utterances that they are copies of. `alignment.chain` adds the graphs of lattice-free MMI; with
    `alignment.flat` nothing is aligned, and they are made of the transcripts. Files that are
    current, made from the same input, are kept.

    Args:
        settings: settings of the command.
        scores: log likelihoods of a set's utterances under the network of `alignment.from_run`;
            by default they are computed from that run folder.
        times: form of the times of words and phones that are written as well; None writes none.

    Returns:
        The numbers of pdfs and Gaussians; for each set its numbers of utterances and frames, the
        unknown words and the skipped utterances; and what was written of times (`TimedSets`).

    Raises:
        InputError: data are missing or damaged, or too many utterances cannot be aligned.
    """
    _check(settings, times)
    if alignments_from_outside(settings):
        return pack_external(settings)
    corpus = settings.corpus.dir
    data = {name: DataDir.read(corpus / name) for name in settings.corpus.sets}
    languages = list(settings.corpus.languages)
    transcripts = {name: transcripts_of(d, languages) for name, d in data.items()}
    check_languages(corpus / "lang", languages)
    hmms = corpus_hmms(settings, data, transcripts)
    if settings.alignment.flat is not None:
        aligner, sets = None, TranscriptSets(settings, hmms, data, transcripts).make()
    else:
        aligner = _Aligner(settings, hmms, transcripts, scores)
        sets = {name: aligner.set(directory) for name, directory in data.items()}
    hmms.system.make_graphs(
        system_folder(settings), {name: corpus / "lang" / name / "lm.arpa" for name in languages}
    )
    if aligner is not None and settings.alignment.chain is not None:
        PhoneGraphs(settings, hmms, data).make()
    gmm = (hmms.mixtures or hmms.system).gmm
    return {
        "pdfs": hmms.system.transitions.num_pdfs,
        "gaussians": None if gmm is None else gmm.num_gaussians,
        "sets": sets,
        "times": {} if times is None or aligner is None else aligner.times(data, times),
    }


def _check(settings: Settings, times: TimesWanted | None) -> None:
    """Refuse settings that do not fit one another.

    Raises:
        InputError: times are wanted of what is not aligned here; or see `flat_options`.
    """
    flat, outside = settings.alignment.flat is not None, alignments_from_outside(settings)
    if flat:
        flat_options(settings)
    if times is not None and (flat or outside):
        raise InputError(
            ("alignment=none has" if flat else "alignments made elsewhere have")
            + " no times of words and phones",
            expected="an alignment of our own, or by a network: alignment.from_run",
            remedy="leave out --format, or alignment=none, alignment.from_kaldi and "
            "alignment.from_ark",
        )
    if settings.features.transforms is not None and not outside:
        raise InputError(
            "features.transforms: only with alignments made elsewhere",
            expected="alignment.from_kaldi or alignment.from_ark beside it",
            remedy="leave it out, or name the alignments of the system it belongs to",
        )


class _Aligner:
    """Aligns sets and packs their stores, unless both are current.

    Args:
        settings: settings of the command.
        hmms: HMMs of the corpus.
        transcripts: transcripts of each set, by utterance.
        scores: log likelihoods of a set's utterances; None for those of the mixtures or of the
            network of `alignment.from_run`.
    """

    def __init__(
        self,
        settings: Settings,
        hmms: CorpusHmms,
        transcripts: dict[str, dict[str, Transcript]],
        scores: ScoreSource | None,
    ) -> None:
        self._settings, self._hmms, self._transcripts = settings, hmms, transcripts
        self._sources = {"system": hmms.source}
        if settings.alignment.from_run is not None:
            scores = scores or _network_scores(settings, settings.alignment.from_run)
            self._sources["network"] = _network(settings.alignment.from_run)
        self._scores = scores
        self._rate = rate_of(scores)
        self._carries = settings.corpus.clean is not None and scores is None

    def set(self, data: DataDir) -> dict[str, Any]:
        """Align a set and pack its store; return the figures of both."""
        settings, name = self._settings, data.path.name
        fbank = settings.corpus.dir / "fbank" / name
        features = features_source(settings, data, fbank)
        skips = SkipList(f"alignment of {name}", settings.alignment.max_skipped, _LIMIT)
        make = self._carried if self._carries else self._aligned
        spec = self._spec(data, features)
        folder = alignment_folder(settings, name)
        known = current_or_make(
            folder,
            spec,
            lambda part: make(data, fbank, part, skips),
            skips=(skips, len(data.utterances)),
        )
        skipped = known.about["skipped"]
        trained_on = TrainedOn.of(settings, name, data)
        packed = pack(
            settings,
            name,
            trained_on.data,
            trained_on.folder,
            lambda: trained_on.aligned(Alignments.read(folder), frame_grid(settings)),
            {"alignments": known.source, "features": trained_on.source},
            logged={*skipped, *trained_on.copies_of(frozenset(skipped))},
        )
        return {
            "utterances": packed["utterances"],
            "frames": packed["frames"],
            "unknown_words": known.about["unknown_words"],
            "skipped": packed["skipped"] | skipped,
        }

    def _spec(self, data: DataDir, features: Source) -> ArtefactSpec:
        sources = self._sources | {"transcripts": transcripts_source(data), "features": features}
        if self._carries:
            clean = clean_alignment(self._settings, data.path.name)
            sources |= {"clean alignments": clean.source, "copies": copies_source(data.path)}
            return ArtefactSpec(_KIND, {}, sources)
        keys = [f"alignment.{name}" for name in ("acoustic_scale", "beam", "retry_beam")]
        return ArtefactSpec(_KIND, {key: self._settings.plain(key) for key in keys}, sources)

    def _aligned(self, data: DataDir, fbank: Path, folder: Path, skips: SkipList) -> dict[str, Any]:
        """Align a set by the mixtures or the network; return what its record says."""
        options, name, by_gmm = self._settings.alignment, data.path.name, self._scores is None
        transcripts = self._transcripts[name]
        beams = AlignOptions(options.acoustic_scale, options.beam, options.retry_beam)
        matrices = self._matrices(data)
        bar = progress(matrices, desc=f"aligning {name}", total=len(transcripts), unit="utt")
        jobs = min(options.jobs, 1 + len(transcripts) // _WORTH_A_PROCESS)
        system, target = self._hmms.scored_at(self._rate), self._hmms.system
        aligned = align_set(system, bar, transcripts, beams, skips, by_gmm=by_gmm, jobs=jobs)
        skips.check(len(transcripts))
        if target.subsampling > 1:
            features = ArkReader(fbank / "feats.scp")
            label_frames(aligned, target, self._rate, lambda name: len(features[name]))
        Alignments(aligned.pdfs, target.transitions.num_pdfs).write(folder)
        write_ctm(self._settings, folder, aligned)
        write_fits(folder, name, aligned.fits)
        return {"unknown_words": aligned.unknown, "skipped": skips.reasons}

    def _matrices(self, data: DataDir) -> Iterator[tuple[str, Scores]]:
        """Return the scores of a set under the network, or its features for the mixtures."""
        if self._scores is not None:
            return self._scores(data.path.name)
        fbank = features_folder(self._settings, data.path.name)
        return speaker_features(data, ArkReader(fbank / "feats.scp"))

    def times(self, data: dict[str, DataDir], wanted: TimesWanted) -> dict[str, Any]:
        """Write the times of all sets.

        Returns:
            What was written of each set.

        Raises:
            InputError: the network scores every k-th frame only.
        """
        if self._rate > 1:
            raise InputError(
                f"alignment.from_run={self._settings.alignment.from_run}: scores of every "
                f"{self._rate}. frame are too coarse for --format",
                expected="a network of every frame, or the mixtures",
                remedy="leave out alignment.from_run, or name a run with model.subsampling=1",
            )
        timed = TimedSets(
            self._settings,
            self._hmms.scored_at(self._rate),
            self._sources,
            self._transcripts,
            self._matrices,
            by_gmm=self._scores is None,
        )
        return {name: timed.write(directory, wanted) for name, directory in data.items()}

    def _carried(self, data: DataDir, fbank: Path, folder: Path, skips: SkipList) -> dict[str, Any]:
        """Carry over the alignments of a set of copies; return what its record says."""
        alignments = carried_alignments(self._settings, data, ArkReader(fbank / "feats.scp"), skips)
        skips.check(len(data.utterances))
        alignments.write(folder)
        for kind in ("phones", "words"):
            write_text(folder / f"{kind}.ctm", carried_ctm(self._settings, data, kind))
        unknown = clean_alignment(self._settings, data.path.name).about["unknown_words"]
        return {"unknown_words": unknown, "skipped": skips.reasons}


def _network_scores(settings: Settings, run_dir: Path) -> ScoreSource:
    if settings.alignment.states_from is not None:
        # It knows nothing of this corpus, whose stores hold other labels or are still to be made.
        return network_scores(settings, run_dir, stored=False)
    # The network reads the store it was trained on; the tagged one is still to be made.
    if (run_dir / CONFIG).exists():
        recorded = read_run_config(run_dir, sections=["alignment"]).get("alignment") or {}
        settings = settings.changed("alignment.tag", recorded.get("tag"))
    return network_scores(settings, run_dir)


def _network(run_dir: Path) -> Source:
    """Return the source that identifies the network of a run.

    Raises:
        InputError: the run has no trained model.
    """
    path = run_dir / MODEL_FILE
    if not path.is_file():
        raise InputError(
            f"{path}: there is no trained model",
            remedy="name a run folder that holds a finished one in alignment.from_run",
        )
    return Source.of_file(path)
