"""Decode sets of a corpus with a trained network, and score the words."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from asr_hf.hmm.align import Transcript
from asr_hf.hmm.decode import Job, at_edge, decode_all, grid
from asr_hf.hmm.rescore import Setting
from asr_hf.hmm.scores import Scores
from asr_hf.hmm.segments import Segment, ctm_lines
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_json, write_text
from asr_hf.runtime.progress import progress
from asr_hf.runtime.skips import SkipList
from asr_hf.scoring.alignment import add_counts
from asr_hf.scoring.hub5 import scored_text
from asr_hf.scoring.wer import WerResult, score, utterance_counts
from asr_hf.stages.choose import MODEL_FILE, choose_model
from asr_hf.stages.external import pack_decode_data
from asr_hf.stages.layout import store_folder
from asr_hf.stages.recognisers import Recogniser, recogniser

log = logging.getLogger(__name__)

ScoreSource = Callable[[str], Iterator[tuple[str, Scores]]]
Words = dict[str, list[str]]


def run(config: DictConfig) -> dict[str, Any]:
    """Decode `decode.sets` with the network of `run_dir`; see `decode_sets`.

    With `decode.choose` that network is chosen first; see `choose_model`.
    """
    run_dir = Path(config.run_dir)
    pack_decode_data(config, [config.decode.tune_on, *config.decode.sets])
    tuned = None
    if config.decode.choose:
        tuned = choose_model(
            run_dir,
            lambda model: tuned_weights(config, model_scores(config, model)),
            config.decode.choose,
        )
    return decode_sets(config, network_scores(config, run_dir), tuned)


def decode_sets(
    config: DictConfig, scores: ScoreSource, tuned: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Choose the decoding weights on `decode.tune_on`, then decode every set of `decode.sets`.

    Writes <run_dir>/decode/best.json, and ref.txt, hyp.txt, words.ctm and result.json of each
    set.

    Args:
        config: the configuration.
        scores: log likelihoods [frames, pdfs] of the utterances of a set.
        tuned: what `tuned_weights` says of them, where that is known.

    Returns:
        The chosen setting, and the word errors of each set, in all and by language.

    Raises:
        InputError: the corpus is not aligned, scores do not fit its HMMs, or too many
            utterances have none.
    """
    decoding = _Decoding(config, recogniser(config), scores)
    tuned = tuned or decoding.tune()
    folder = Path(config.run_dir) / "decode"
    write_json(folder / "best.json", tuned)
    best = Setting(**tuned["best"])
    sets = {name: decoding.final(name, best, folder / name) for name in config.decode.sets}
    return tuned | {"sets": sets}


def tuned_weights(config: DictConfig, scores: ScoreSource) -> dict[str, Any]:
    """The weights that are best on `decode.tune_on`, and the word errors of all that were tried.

    Raises:
        InputError: as `decode_sets`.
    """
    return _Decoding(config, recogniser(config), scores).tune()


class _Decoding:
    """Decodes whole sets; what stays the same between calls."""

    def __init__(self, config: DictConfig, graphs: Recogniser, scores: ScoreSource) -> None:
        self.config, self.graphs, self.scores = config, graphs, scores

    def tune(self) -> dict[str, Any]:
        """The setting with the fewest word errors on the tuning set, of equals the earlier."""
        options = self.config.decode
        settings = grid(options.acoustic_scales, options.lm_scales, options.insertion_penalties)
        errors = self.errors(settings)
        best = settings[errors.index(min(errors))]
        log.info("best on %s: %d errors under %s", options.tune_on, min(errors), best)
        for weight in at_edge(best, settings):
            log.warning("the best %s stands at the edge of those tried: try more", weight)
        tried = [asdict(s) | {"errors": e} for s, e in zip(settings, errors, strict=True)]
        return {"tuned_on": options.tune_on, "best": asdict(best), "tried": tried}

    def errors(self, settings: Sequence[Setting]) -> list[int]:
        """Word errors on the tuning set under each setting."""
        name = self.config.decode.tune_on
        transcripts = self.graphs.transcripts(name)
        found: list[Words] = [{} for _ in settings]
        for utterance, per_setting in self._decode(name, transcripts, settings):
            for words, (hypothesis, _) in zip(found, per_setting, strict=True):
                words[utterance] = hypothesis
        scored = scoring_rule(self.config)
        references = {u: scored(transcripts[u].words) for u in found[0]}
        found = [{u: scored(w) for u, w in words.items()} for words in found]
        return [add_counts(utterance_counts(references, w).values()).errors for w in found]

    def final(self, name: str, setting: Setting, folder: Path) -> dict[str, Any]:
        """Decode the set `name`, write its files, and score it.

        Utterances that have no scores count as if nothing had been recognised.
        """
        transcripts = self.graphs.transcripts(name)
        hypotheses: Words = {}
        lines, unfinished = [], []
        for utterance, [(words, segments)] in self._decode(name, transcripts, [setting]):
            hypotheses[utterance] = words
            if words and not segments and self.graphs.tells_times:
                unfinished.append(utterance)
            lines.append(ctm_lines(utterance, segments, self.config.features.frame_shift / 1000))
        skips = SkipList(f"decoding of {name}", self.config.decode.max_skipped)
        for utterance in transcripts.keys() - hypotheses.keys():
            skips.add(utterance, "no scores; counted as deletions")
        skips.check(len(transcripts))
        scored = scoring_rule(self.config)
        references = {u: scored(t.words) for u, t in transcripts.items()}
        hypotheses = {u: scored(hypotheses.get(u, [])) for u in references}
        _write_words(folder / "ref.txt", references)
        _write_words(folder / "hyp.txt", hypotheses)
        write_text(folder / "words.ctm", "".join(lines))
        result = summary(score(references, hypotheses))
        result["languages"] = {
            language: summary(score(_only(references, mine), _only(hypotheses, mine)))
            for language in self.graphs.languages
            if (mine := {u for u, t in transcripts.items() if t.language == language})
        }
        result["skipped"] = skips.reasons
        result["unfinished"] = unfinished
        if unfinished:
            log.warning(
                "%s: no path reached the end of %d utterances (%s ...), whose last words may be "
                "missing and which the ctm leaves out; a larger decode.beam helps",
                name,
                len(unfinished),
                " ".join(unfinished[:3]),
            )
        write_json(folder / "result.json", result)
        return result

    def _decode(
        self, name: str, transcripts: dict[str, Transcript], settings: Sequence[Setting]
    ) -> Iterator[tuple[str, list[tuple[list[str], list[Segment]]]]]:
        """Words and their segments of each utterance, under each setting."""
        order: list[str] = []

        def jobs() -> Iterator[Job]:
            for utterance, log_likelihoods in self.scores(name):
                if utterance not in transcripts:
                    raise InputError(
                        f"{utterance}: scores, but no such utterance in {name}",
                        remedy="run asr-hf align again after changing the data",
                    )
                order.append(utterance)
                yield Job(utterance, transcripts[utterance].language, log_likelihoods)

        paths = decode_all(self.graphs.source, jobs(), settings, self.config.decode.jobs)
        bar = progress(paths, desc=f"decoding {name}", total=len(transcripts), unit="utt")
        for number, per_setting in enumerate(bar):
            utterance = order[number]
            language = transcripts[utterance].language
            yield utterance, [self.graphs.recognised(path, language) for path in per_setting]


def scoring_rule(config: DictConfig) -> Callable[[Sequence[str]], list[str]]:
    """Which words count as errors: those of `corpus.scoring`'s rules, all where it has none.

    Raises:
        InputError: there are no such rules.
    """
    name = config.corpus.get("scoring")
    if name not in (None, "hub5"):
        raise InputError(f"corpus.scoring: there are no rules {name!r}", expected="hub5, or null")
    return scored_text if name else list


def summary(result: WerResult) -> dict[str, Any]:
    """The numbers of a scored set, for JSON."""
    return {
        "percent": result.percent,
        "words": result.words,
        "errors": result.errors,
        "substitutions": result.substitutions,
        "deletions": result.deletions,
        "insertions": result.insertions,
        "interval": list(result.interval),
    }


def _only(words: Words, utterances: set[str]) -> Words:
    return {u: words[u] for u in words if u in utterances}


def _write_words(path: Path, words: Words) -> None:
    write_text(
        path, "".join(f"{u} {' '.join(found)}".rstrip() + "\n" for u, found in words.items())
    )


def network_scores(config: DictConfig, run_dir: Path) -> ScoreSource:
    """Scores of a corpus's sets under the network that `run_dir` holds.

    Raises:
        InputError: there is no trained model.
    """
    return model_scores(config, run_dir / MODEL_FILE)


def model_scores(config: DictConfig, path: Path) -> ScoreSource:
    """Scores of a corpus's sets under the network in the file `path`.

    Raises:
        InputError: there is no trained model.
    """
    # Aligning with GMMs and decoding given scores need none of these.
    from asr_hf.data.store import FrameStore
    from asr_hf.runtime.device import choose_device
    from asr_hf.training.model_file import load_model
    from asr_hf.training.posteriors import log_likelihoods

    model, _ = load_model(path)
    device = choose_device(config.runtime.device, config.runtime.threads)

    def of_set(name: str) -> Iterator[tuple[str, Scores]]:
        store = FrameStore.open(store_folder(config, name))
        if store.dim != model.feature_dim:
            raise InputError(
                f"{store.folder}: features of {store.dim} dimensions",
                expected=f"{model.feature_dim}, as in the training of {path}",
                remedy=f"make the features of {name} as those of training, with the same "
                "features.transforms",
            )
        return log_likelihoods(model, store, device)

    return of_set
