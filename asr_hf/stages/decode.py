"""Decode sets of a corpus with a trained network, and score the words."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from asr_hf.hmm.alignment.align import Transcript
from asr_hf.hmm.alignment.segments import Segment, ctm_lines
from asr_hf.hmm.search.decode import DecodingJob, decode_all, weight_grid, weights_at_edge
from asr_hf.hmm.search.rescore import SearchWeights
from asr_hf.runtime.artefact import Maker, current_or_make, make_anew
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_json, write_text
from asr_hf.runtime.progress import progress
from asr_hf.runtime.provenance import ArtefactSpec, Source
from asr_hf.runtime.skips import SkipList
from asr_hf.scoring.alignment import add_counts
from asr_hf.scoring.wer import score, utterance_counts
from asr_hf.settings.settings import Settings
from asr_hf.stages.recognition.recognisers import Recogniser, recogniser
from asr_hf.stages.recognition.score_sources import (
    Identified,
    ScoreSource,
    model_scores,
    network_scores,
)
from asr_hf.stages.recognition.select_checkpoint import choose_model
from asr_hf.stages.recognition.word_errors import Words, only, scoring_rule, summary, write_words
from asr_hf.stages.sources.external import pack_decode_data

log = logging.getLogger(__name__)

# Where the weights that are tried are set.
_TRIED = {
    "acoustic_scale": "decode.acoustic_scales",
    "lm_scale": "decode.lm_scales",
    "insertion_penalty": "decode.insertion_penalties",
}
# Settings of the search.
_SEARCH = ("beam", "lattice_beam", "lattice_scale", "max_active")


def run(settings: Settings) -> dict[str, Any]:
    """Decode `decode.sets` with the network of `run_dir`; see `decode_sets`.

    With `decode.choose` that network is chosen first; see `choose_model`.

    Returns:
        What `decode_sets` returns.
    """
    run_dir = settings.run_dir
    pack_decode_data(settings, [settings.decode.tune_on, *settings.decode.sets])
    tuned = None
    if settings.decode.choose:
        folder = run_dir / "decode" / "choice"
        tuned = choose_model(
            run_dir,
            lambda model: tuned_weights(
                settings, model_scores(settings, model), folder / model.stem
            ),
            settings.decode.choose,
        )
    return decode_sets(settings, network_scores(settings, run_dir), tuned)


def decode_sets(
    settings: Settings, scores: ScoreSource, known: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Choose the decoding weights on `decode.tune_on`, then decode every set of `decode.sets`.

    Writes <run_dir>/decode/best.json, and ref.txt, hyp.txt, words.ctm and result.json of each
    set. What a network has decoded already is kept.

    Args:
        settings: settings of the command.
        scores: log likelihoods [frames, pdfs] of the utterances of a set.
        known: what `tuned_weights` says of them, where that is known.

    Returns:
        The chosen setting, and the word errors of each set, in all and by language.

    Raises:
        InputError: the corpus is not aligned, scores do not fit its HMMs, or too many
            utterances have none.
    """
    decoding = _Decoding(settings, recogniser(settings), scores)
    for name in dict.fromkeys([settings.decode.tune_on, *settings.decode.sets]):
        decoding.check_frames(name)
    folder = settings.run_dir / "decode"
    tuned = decoding.tuned(folder, known)
    best = SearchWeights(**tuned["best"])
    sets = {name: decoding.final(name, best, folder / name) for name in settings.decode.sets}
    return tuned | {"sets": sets}


def tuned_weights(settings: Settings, scores: ScoreSource, folder: Path) -> dict[str, Any]:
    """Find the weights that are best on `decode.tune_on`.

    Args:
        settings: settings of the command.
        scores: of the utterances of a set.
        folder: best.json is kept there.

    Returns:
        The best weights, and the word errors of all that were tried.

    Raises:
        InputError: as `decode_sets`.
    """
    return _Decoding(settings, recogniser(settings), scores).tuned(folder)


class _Decoding:
    """Decodes whole sets; what stays the same between calls."""

    def __init__(self, settings: Settings, graphs: Recogniser, scores: ScoreSource) -> None:
        self.settings, self.graphs, self.scores = settings, graphs, scores
        self.transcripts = cache(graphs.transcripts)
        # Scores that are a network's have an identity; what is made from others is not kept.
        self._network = scores if isinstance(scores, Identified) else None
        if self._network is not None:
            graphs.check_model(self._network.about, self._network.path)

    def check_frames(self, name: str) -> None:
        """Say, before the work, which utterances of a set cannot be decoded.

        Raises:
            InputError: too many.
        """
        if self._network is None:
            return
        utterances = list(self.transcripts(name))
        self._skips(name, self._network.lacking(name, utterances)).check(len(utterances))

    def _skips(self, name: str, reasons: dict[str, str]) -> SkipList:
        limit = self.settings.decode.max_skipped
        return SkipList(f"decoding of {name}", limit, "decode.max_skipped", reasons)

    def tuned(self, folder: Path, known: dict[str, Any] | None = None) -> dict[str, Any]:
        """What `tune` finds, or what is known of it, kept as best.json in `folder`."""
        options = self.settings.decode
        keys = ("tune_on", "acoustic_scales", "lm_scales", "insertion_penalties")

        def make(part: Path) -> dict[str, Any]:
            found = known or self.tune()
            write_json(part / "best.json", found)
            return found

        return self._kept(folder, "decoding weights", options.tune_on, keys, {}, make)

    def _kept(
        self,
        folder: Path,
        kind: str,
        name: str,
        keys: Sequence[str],
        recorded: dict[str, Any],
        make: Maker,
    ) -> dict[str, Any]:
        """What was made from the set `name`, the network and these recorded; made if need be."""
        read = [f"decode.{key}" for key in (*_SEARCH, *keys)]
        recorded = recorded | {key: self.settings.plain(key) for key in read}
        transcripts = self.transcripts(name)
        text = {u: [list(t.words), t.language] for u, t in transcripts.items()}
        rules = Source.of_values(self.settings.corpus.scoring)
        sources = {"transcripts": Source.of_values(text), "scoring": rules} | self.graphs.sources
        if self._network is None:
            return make_anew(folder, ArtefactSpec(kind, recorded, sources), make).about
        network = {
            "network": self._network.source,
            "frames": self._network.frames_source(name),
        }
        return current_or_make(folder, ArtefactSpec(kind, recorded, sources | network), make).about

    def tune(self) -> dict[str, Any]:
        """The setting with the fewest word errors on the tuning set, of equals the earlier."""
        options = self.settings.decode
        weights = weight_grid(
            options.acoustic_scales, options.lm_scales, options.insertion_penalties
        )
        errors = self.errors(weights)
        best = weights[errors.index(min(errors))]
        best_weights = ", ".join(f"{key} {value:g}" for key, value in asdict(best).items())
        log.info("best on %s: %d errors with %s", options.tune_on, min(errors), best_weights)
        for weight in weights_at_edge(best, weights):
            log.warning("the best %s stands at the edge of %s: try more", weight, _TRIED[weight])
        rows = [asdict(s) | {"errors": e} for s, e in zip(weights, errors, strict=True)]
        return {"tuned_on": options.tune_on, "best": asdict(best), "tried": rows}

    def errors(self, weights: Sequence[SearchWeights]) -> list[int]:
        """Word errors on the tuning set under all weights in turn."""
        name = self.settings.decode.tune_on
        transcripts = self.transcripts(name)
        found: list[Words] = [{} for _ in weights]
        for utterance, per_setting in self._decode(name, transcripts, weights):
            for words, (hypothesis, _) in zip(found, per_setting, strict=True):
                words[utterance] = hypothesis
        scored = scoring_rule(self.settings)
        references = {u: scored(transcripts[u].words) for u in found[0]}
        found = [{u: scored(w) for u, w in words.items()} for words in found]
        return [add_counts(utterance_counts(references, w).values()).errors for w in found]

    def final(self, name: str, setting: SearchWeights, folder: Path) -> dict[str, Any]:
        """Decode the set `name`, write its files, and score it.

        Utterances that have no scores count as if nothing had been recognised.

        Returns:
            The word errors of the set, in all and by language.
        """

        def make(part: Path) -> dict[str, Any]:
            return self._decoded(name, setting, part)

        result = self._kept(folder, "decoded set", name, (), asdict(setting), make)
        if unfinished := result["unfinished"]:
            log.warning(
                "%s: no path reached the end of %d utterances (%s), whose last words may be "
                "missing and which the ctm leaves out; a larger decode.beam helps",
                name,
                len(unfinished),
                " ".join(unfinished[:3]) + (" ..." if len(unfinished) > 3 else ""),
            )
        return result

    def _decoded(self, name: str, setting: SearchWeights, folder: Path) -> dict[str, Any]:
        transcripts = self.transcripts(name)
        hypotheses: Words = {}
        lines, unfinished = [], []
        for utterance, [(words, segments)] in self._decode(name, transcripts, [setting]):
            hypotheses[utterance] = words
            if words and not segments and self.graphs.tells_times:
                unfinished.append(utterance)
            lines.append(ctm_lines(utterance, segments, self.settings.features.frame_shift / 1000))
        skips = self._skips(name, {})
        for utterance in transcripts.keys() - hypotheses.keys():
            skips.add(utterance, "no scores; its words count as deleted")
        if self._network is None:
            skips.check(len(transcripts))
        scored = scoring_rule(self.settings)
        references = {u: scored(t.words) for u, t in transcripts.items()}
        hypotheses = {u: scored(hypotheses.get(u, [])) for u in references}
        write_words(folder / "ref.txt", references)
        write_words(folder / "hyp.txt", hypotheses)
        write_text(folder / "words.ctm", "".join(lines))
        result = summary(score(references, hypotheses))
        result["languages"] = {
            language: summary(score(only(references, mine), only(hypotheses, mine)))
            for language in self.graphs.languages
            if (mine := {u for u, t in transcripts.items() if t.language == language})
        }
        result["skipped"] = skips.reasons
        result["unfinished"] = unfinished
        write_json(folder / "result.json", result)
        return result

    def _decode(
        self, name: str, transcripts: dict[str, Transcript], weights: Sequence[SearchWeights]
    ) -> Iterator[tuple[str, list[tuple[list[str], list[Segment]]]]]:
        """Words and their segments of each utterance, under all weights in turn."""
        order: list[str] = []

        def jobs() -> Iterator[DecodingJob]:
            for utterance, log_likelihoods in self.scores(name):
                if utterance not in transcripts:
                    raise InputError(
                        f"{utterance}: scores, but no such utterance in {name}",
                        remedy="run asr-hf align again after changing the data",
                    )
                order.append(utterance)
                yield DecodingJob(utterance, transcripts[utterance].language, log_likelihoods)

        paths = decode_all(self.graphs.source, jobs(), weights, self.settings.decode.jobs)
        bar = progress(paths, desc=f"decoding {name}", total=len(transcripts), unit="utt")
        for number, per_setting in enumerate(bar):
            utterance = order[number]
            language = transcripts[utterance].language
            yield utterance, [self.graphs.recognised(path, language) for path in per_setting]
