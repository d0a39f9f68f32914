"""Decode sets of a corpus with a trained network, and score the words."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from asr_hf.hmm.alignment.align import Transcript
from asr_hf.hmm.alignment.segments import Segment, ctm_lines
from asr_hf.hmm.search.decode import DecodingJob, decode_all, weight_grid, weights_at_edge
from asr_hf.hmm.search.rescore import SearchWeights
from asr_hf.runtime.artefact import Maker, current_or_make, make_anew
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_json, write_text
from asr_hf.runtime.progress import progress
from asr_hf.runtime.provenance import Source, Wanted
from asr_hf.runtime.skips import SkipList
from asr_hf.scoring.alignment import add_counts
from asr_hf.scoring.wer import score, utterance_counts
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


def run(config: DictConfig) -> dict[str, Any]:
    """Decode `decode.sets` with the network of `run_dir`; see `decode_sets`.

    With `decode.choose` that network is chosen first; see `choose_model`.
    """
    run_dir = Path(config.run_dir)
    pack_decode_data(config, [config.decode.tune_on, *config.decode.sets])
    tuned = None
    if config.decode.choose:
        folder = run_dir / "decode" / "choice"
        tuned = choose_model(
            run_dir,
            lambda model: tuned_weights(config, model_scores(config, model), folder / model.stem),
            config.decode.choose,
        )
    return decode_sets(config, network_scores(config, run_dir), tuned)


def decode_sets(
    config: DictConfig, scores: ScoreSource, known: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Choose the decoding weights on `decode.tune_on`, then decode every set of `decode.sets`.

    Writes <run_dir>/decode/best.json, and ref.txt, hyp.txt, words.ctm and result.json of each
    set. What a network has decoded already is kept.

    Args:
        config: the configuration.
        scores: log likelihoods [frames, pdfs] of the utterances of a set.
        known: what `tuned_weights` says of them, where that is known.

    Returns:
        The chosen setting, and the word errors of each set, in all and by language.

    Raises:
        InputError: the corpus is not aligned, scores do not fit its HMMs, or too many
            utterances have none.
    """
    decoding = _Decoding(config, recogniser(config), scores)
    for name in dict.fromkeys([config.decode.tune_on, *config.decode.sets]):
        decoding.check_frames(name)
    folder = Path(config.run_dir) / "decode"
    tuned = decoding.tuned(folder, known)
    best = SearchWeights(**tuned["best"])
    sets = {name: decoding.final(name, best, folder / name) for name in config.decode.sets}
    return tuned | {"sets": sets}


def tuned_weights(config: DictConfig, scores: ScoreSource, folder: Path) -> dict[str, Any]:
    """The weights that are best on `decode.tune_on`, and the word errors of all that were tried.

    Args:
        config: the configuration.
        scores: of the utterances of a set.
        folder: best.json is kept there.

    Raises:
        InputError: as `decode_sets`.
    """
    return _Decoding(config, recogniser(config), scores).tuned(folder)


class _Decoding:
    """Decodes whole sets; what stays the same between calls."""

    def __init__(self, config: DictConfig, graphs: Recogniser, scores: ScoreSource) -> None:
        self.config, self.graphs, self.scores = config, graphs, scores
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
        limit = self.config.decode.max_skipped
        return SkipList(f"decoding of {name}", limit, "decode.max_skipped", reasons)

    def tuned(self, folder: Path, known: dict[str, Any] | None = None) -> dict[str, Any]:
        """What `tune` finds, or what is known of it, kept as best.json in `folder`."""
        options = self.config.decode
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
        settings: dict[str, Any],
        make: Maker,
    ) -> dict[str, Any]:
        """What was made from the set `name`, the network and these settings; made if need be."""
        decode = OmegaConf.to_container(self.config.decode, resolve=True)
        assert isinstance(decode, dict)
        settings = settings | {f"decode.{key}": decode[key] for key in (*_SEARCH, *keys)}
        transcripts = self.transcripts(name)
        text = {u: [list(t.words), t.language] for u, t in transcripts.items()}
        rules = Source.of_values(self.config.corpus.get("scoring"))
        sources = {"transcripts": Source.of_values(text), "scoring": rules} | self.graphs.sources
        if self._network is None:
            return make_anew(folder, Wanted(kind, settings, sources), make).about
        network = {
            "network": self._network.source,
            "frames": self._network.frames_source(name),
        }
        return current_or_make(folder, Wanted(kind, settings, sources | network), make).about

    def tune(self) -> dict[str, Any]:
        """The setting with the fewest word errors on the tuning set, of equals the earlier."""
        options = self.config.decode
        settings = weight_grid(
            options.acoustic_scales, options.lm_scales, options.insertion_penalties
        )
        errors = self.errors(settings)
        best = settings[errors.index(min(errors))]
        weights = ", ".join(f"{key} {value:g}" for key, value in asdict(best).items())
        log.info("best on %s: %d errors with %s", options.tune_on, min(errors), weights)
        for weight in weights_at_edge(best, settings):
            log.warning("the best %s stands at the edge of %s: try more", weight, _TRIED[weight])
        tried = [asdict(s) | {"errors": e} for s, e in zip(settings, errors, strict=True)]
        return {"tuned_on": options.tune_on, "best": asdict(best), "tried": tried}

    def errors(self, settings: Sequence[SearchWeights]) -> list[int]:
        """Word errors on the tuning set under each setting."""
        name = self.config.decode.tune_on
        transcripts = self.transcripts(name)
        found: list[Words] = [{} for _ in settings]
        for utterance, per_setting in self._decode(name, transcripts, settings):
            for words, (hypothesis, _) in zip(found, per_setting, strict=True):
                words[utterance] = hypothesis
        scored = scoring_rule(self.config)
        references = {u: scored(transcripts[u].words) for u in found[0]}
        found = [{u: scored(w) for u, w in words.items()} for words in found]
        return [add_counts(utterance_counts(references, w).values()).errors for w in found]

    def final(self, name: str, setting: SearchWeights, folder: Path) -> dict[str, Any]:
        """Decode the set `name`, write its files, and score it.

        Utterances that have no scores count as if nothing had been recognised.
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
            lines.append(ctm_lines(utterance, segments, self.config.features.frame_shift / 1000))
        skips = self._skips(name, {})
        for utterance in transcripts.keys() - hypotheses.keys():
            skips.add(utterance, "no scores; its words count as deleted")
        if self._network is None:
            skips.check(len(transcripts))
        scored = scoring_rule(self.config)
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
        self, name: str, transcripts: dict[str, Transcript], settings: Sequence[SearchWeights]
    ) -> Iterator[tuple[str, list[tuple[list[str], list[Segment]]]]]:
        """Words and their segments of each utterance, under each setting."""
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

        paths = decode_all(self.graphs.source, jobs(), settings, self.config.decode.jobs)
        bar = progress(paths, desc=f"decoding {name}", total=len(transcripts), unit="utt")
        for number, per_setting in enumerate(bar):
            utterance = order[number]
            language = transcripts[utterance].language
            yield utterance, [self.graphs.recognised(path, language) for path in per_setting]
