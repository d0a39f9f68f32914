"""Decode sets of a corpus with a trained network, and count the word errors."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from asr_hf.hmm.alignment.segments import ctm_lines
from asr_hf.hmm.search.rescore import SearchWeights
from asr_hf.hmm.search.weight_choice import expected_errors, weight_grid, weights_at_edge
from asr_hf.runtime.artefact import Maker, current_or_make, make_anew
from asr_hf.runtime.files import write_json, write_text
from asr_hf.runtime.provenance import ArtefactSpec, Source
from asr_hf.runtime.skips import SkipList
from asr_hf.scoring.alignment import add_counts
from asr_hf.scoring.wer import score, utterance_counts
from asr_hf.settings.settings import Settings
from asr_hf.stages.recognition.recognised_sets import SetRecogniser
from asr_hf.stages.recognition.recognisers import Recogniser, recogniser
from asr_hf.stages.recognition.score_sources import (
    Identified,
    ScoreSource,
    model_scores,
    network_scores,
    rate_of,
)
from asr_hf.stages.recognition.select_checkpoint import choose_model
from asr_hf.stages.recognition.word_errors import Words, only, scoring_rule, summary, write_words
from asr_hf.stages.sources.external import pack_decode_data

log = logging.getLogger(__name__)

# Settings that list the weights that are tried.
_TRIED = {
    "acoustic_scale": "decode.acoustic_scales",
    "lm_scale": "decode.lm_scales",
    "insertion_penalty": "decode.insertion_penalties",
}
# Settings of the search.
_SEARCH = ("beam", "lattice_beam", "lattice_scale", "max_active", "max_arcs_per_frame")


def run(settings: Settings) -> dict[str, Any]:
    """Decode `decode.sets` with the network of `run_dir`.

    With `decode.choose`, choose that network first; see `choose_model`.

    Args:
        settings: settings of the command.

    Returns:
        What `decode_sets` returns.

    Raises:
        InputError: see `decode_sets`; or there are no models to choose from.
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
    set. Files that a network has decoded and that are current are kept.

    Args:
        settings: settings of the command.
        scores: log likelihoods [frames, pdfs] of the utterances of a set.
        known: what `tuned_weights` has returned for these scores; None to choose the weights here.

    Returns:
        The chosen weights, and the word errors of each set, in all and by language.

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
    """Choose the decoding weights on `decode.tune_on`.

    Args:
        settings: settings of the command.
        scores: log likelihoods [frames, pdfs] of the utterances of a set.
        folder: folder of best.json.

    Returns:
        The content of best.json: the best weights, and the word errors of all that were tried.

    Raises:
        InputError: see `decode_sets`.
    """
    return _Decoding(settings, recogniser(settings), scores).tuned(folder)


class _Decoding:
    """Decodes whole sets with the same graphs and scores.

    Args:
        settings: settings of the command.
        graphs: decoding graphs, and the meaning of their labels.
        scores: log likelihoods [frames, pdfs] of the utterances of a set.
    """

    def __init__(self, settings: Settings, graphs: Recogniser, scores: ScoreSource) -> None:
        self.settings, self.graphs = settings, graphs
        self._sets = SetRecogniser(settings, graphs, scores)
        self.transcripts = cache(graphs.transcripts)
        # Scores of a network have an identity; artefacts made from other scores are not kept.
        self._network = scores if isinstance(scores, Identified) else None
        if self._network is not None:
            graphs.check_model(self._network.about, self._network.path)

    def check_frames(self, name: str) -> None:
        """Log, before the work, which utterances of a set cannot be decoded.

        Raises:
            InputError: too many utterances have no frames.
        """
        if self._network is None:
            return
        utterances = list(self.transcripts(name))
        self._skips(name, self._network.lacking(name, utterances)).check(len(utterances))

    def _skips(self, name: str, reasons: dict[str, str]) -> SkipList:
        limit = self.settings.decode.max_skipped
        return SkipList(f"decoding of {name}", limit, "decode.max_skipped", reasons)

    def tuned(self, folder: Path, known: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what `tune` returns, or `known`, and keep it as best.json in `folder`."""
        options = self.settings.decode
        keys = ("tune_on", "acoustic_scales", "lm_scales", "insertion_penalties")

        def make(part: Path) -> dict[str, Any]:
            tuned = known or self.tune()
            write_json(part / "best.json", tuned)
            return tuned

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
        """Return what the record of an artefact of the set `name` says; make it unless current."""
        names = [f"decode.{key}" for key in (*_SEARCH, *keys)]
        recorded = recorded | {key: self.settings.plain(key) for key in names}
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
        """Find the weights with the fewest word errors to be expected; of equals, the first."""
        options = self.settings.decode
        weights = weight_grid(
            options.acoustic_scales, options.lm_scales, options.insertion_penalties
        )
        errors = self.errors(weights)
        expected = expected_errors(weights, errors)
        chosen = expected.index(min(expected))
        best = weights[chosen]
        best_weights = ", ".join(f"{key} {value:g}" for key, value in asdict(best).items())
        log.info("best on %s: %d errors with %s", options.tune_on, errors[chosen], best_weights)
        for weight in weights_at_edge(best, weights):
            log.warning("the best %s stands at the edge of %s: try more", weight, _TRIED[weight])
        rows = [
            asdict(one) | {"errors": count, "expected": round(smooth, 2)}
            for one, count, smooth in zip(weights, errors, expected, strict=True)
        ]
        return {"tuned_on": options.tune_on, "best": asdict(best), "tried": rows}

    def errors(self, weights: Sequence[SearchWeights]) -> list[int]:
        """Count the word errors on the tuning set under each of the weights."""
        name = self.settings.decode.tune_on
        transcripts = self.transcripts(name)
        hypotheses: list[Words] = [{} for _ in weights]
        for one in self._sets.recognise(name, transcripts, weights):
            for words_of, path in zip(hypotheses, one.paths, strict=True):
                words_of[one.utterance] = self.graphs.words(path, one.language)
        scored = scoring_rule(self.settings)
        references = {u: scored(transcripts[u].words) for u in hypotheses[0]}
        hypotheses = [{u: scored(words) for u, words in h.items()} for h in hypotheses]
        return [add_counts(utterance_counts(references, h).values()).errors for h in hypotheses]

    def final(self, name: str, weights: SearchWeights, folder: Path) -> dict[str, Any]:
        """Return the result.json of the set `name`; decode the set unless it is current.

        An utterance without scores counts as if nothing had been recognised.

        Args:
            name: name of the set.
            weights: decoding weights.
            folder: folder of the decoded set.
        """

        def make(part: Path) -> dict[str, Any]:
            return self._decoded(name, weights, part)

        result = self._kept(folder, "decoded set", name, (), asdict(weights), make)
        if unfinished := result["unfinished"]:
            log.warning(
                "%s: no path reached the end of %d utterances (%s), whose last words may be "
                "missing, in the ctm too; a larger decode.beam helps",
                name,
                len(unfinished),
                " ".join(unfinished[:3]) + (" ..." if len(unfinished) > 3 else ""),
            )
        return result

    def _decoded(self, name: str, weights: SearchWeights, folder: Path) -> dict[str, Any]:
        transcripts = self.transcripts(name)
        hypotheses: Words = {}
        lines, unfinished = [], []
        frame_shift = rate_of(self._sets.scores) * self.settings.features.frame_shift / 1000
        for one in self._sets.recognise(name, transcripts, [weights]):
            words, segments = self.graphs.recognised(one.paths[0], one.language)
            hypotheses[one.utterance] = words
            if not one.complete:
                unfinished.append(one.utterance)
            lines.append(ctm_lines(one.utterance, segments, frame_shift))
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
            language: summary(score(only(references, members), only(hypotheses, members)))
            for language in self.graphs.languages
            if (members := {u for u, t in transcripts.items() if t.language == language})
        }
        result["skipped"] = skips.reasons
        result["unfinished"] = unfinished
        result["search"] = self._sets.bounds.about()
        write_json(folder / "result.json", result)
        return result
