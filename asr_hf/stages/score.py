"""Score decoded sets: word error rates by set and language, and the worst utterances."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from asr_hf.report.columns import in_columns
from asr_hf.report.html import write_report
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import read_json, write_json, write_text
from asr_hf.runtime.skips import SkipList
from asr_hf.scoring.alignment import EditCounts
from asr_hf.scoring.hub5 import hub5_errors, hubscr_command
from asr_hf.scoring.sclite import compare_with_sclite
from asr_hf.scoring.transcripts import read_table
from asr_hf.scoring.wer import WerResult, score
from asr_hf.scoring.worst import AlignedUtterance, format_utterance, worst_utterances
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.layout import check_decoded
from asr_hf.stages.sources.recordings import recognised_words

log = logging.getLogger(__name__)

_WORST = 20
_NOT_COMPARABLE = "(ours): of each utterance's text; not comparable with figures of NIST's tools."


@dataclass(frozen=True)
class _SetScore:
    """The word errors of a set.

    Args:
        name: name of the set.
        result: word errors of the whole set.
        languages: word errors of each language.
        worst: utterances with the most errors.
        hub5: word errors by NIST's script, by the part of the set; None for a set without stm and
            glm.
    """

    name: str
    result: WerResult
    languages: dict[str, WerResult]
    worst: list[AlignedUtterance]
    hub5: dict[str, EditCounts] | None


def run(settings: Settings) -> dict[str, Any]:
    """Score the decoded sets of the run in `run_dir`.

    Write score.json and score.txt, enter `wer` in result.json (the figures of the set test, or of
    the last set where none is called test) and make report.html anew.

    Args:
        settings: settings of the command.

    Returns:
        The value of `wer`.

    Raises:
        InputError: hypotheses or references are missing or do not belong together.
    """
    run_dir = settings.run_dir
    scores = [_score_set(settings, run_dir, name) for name in settings.decode.sets]
    if not scores:
        raise InputError("decode.sets is empty", remedy="name a set to score, e.g. [dev, test]")
    wer = _summary(scores)
    write_json(run_dir / "score.json", {"wer": wer, "worst": _worst_rows(scores)})
    table = format_table(scores)
    write_text(run_dir / "score.txt", table + "\n" + _worst_text(scores))
    result_path = run_dir / "result.json"
    result = read_json(result_path) if result_path.exists() else {}
    write_json(result_path, result | {"wer": wer})
    if (run_dir / "events.jsonl").exists():
        write_report(run_dir)
    print(table)
    return wer


def _score_set(settings: Settings, run_dir: Path, name: str) -> _SetScore:
    folder = run_dir / "decode" / name
    check_decoded(folder, run_dir)
    if not (folder / "hyp.txt").is_file():
        raise InputError(f"{folder}: nothing was decoded", remedy=f"asr-hf decode {run_dir}")
    refs, hyps = read_table(folder / "ref.txt"), read_table(folder / "hyp.txt")
    skips = SkipList(f"scoring of {folder}", settings.decode.max_skipped, "decode.max_skipped")
    for utterance in refs:
        if utterance not in hyps:
            skips.add(utterance, "no hypothesis; all its words count as deleted")
    skips.check(len(refs))
    languages = _languages(settings, name, refs)
    by_language = {
        language: score(
            {u: refs[u] for u in members},
            {u: hyps[u] for u in members if u in hyps},
            missing_as_deleted=True,
        )
        for language, members in languages.items()
    }
    result = score(refs, hyps, missing_as_deleted=True)
    _cross_check(name, refs, hyps)
    hub5 = _by_hubscr(settings, name)
    return _SetScore(name, result, by_language, worst_utterances(refs, hyps, _WORST), hub5)


def _by_hubscr(settings: Settings, name: str) -> dict[str, EditCounts] | None:
    """Count word errors with NIST's script, in the whole set and in each subset.

    Returns:
        The counts by the name of the set or subset; none if the script is not installed; None for
        a set without stm and glm.
    """
    data = settings.corpus.dir / name
    stm, glm = data / "stm", data / "glm"
    if not (stm.is_file() and glm.is_file()):
        return None
    command = hubscr_command()
    if command is None:
        log.warning(
            "%s: hubscr.pl is not installed; the word error rate here is not comparable with "
            "published ones, which it gives (Debian, Ubuntu: apt-get install sctk)",
            name,
        )
        return {}
    words = recognised_words(settings, name)
    subsets = ["", *settings.corpus.subsets_scored.get(name, [])]
    return {
        f"{name} {prefix}".strip(): hub5_errors(command, stm, glm, words, prefix)
        for prefix in subsets
    }


def _languages(settings: Settings, name: str, refs: dict[str, list[str]]) -> dict[str, list[str]]:
    """Return the scored utterances of each language, sorted by the language's name.

    Raises:
        InputError: an utterance has no language, or several.
    """
    path = settings.corpus.dir / name / "utt2lang"
    if not path.exists():
        return {}
    table = read_table(path)
    members: dict[str, list[str]] = {}
    for utterance in refs:
        fields = table.get(utterance, [])
        if len(fields) != 1:
            raise InputError(
                f"{path}: utterance {utterance} has {len(fields)} languages",
                expected="one line with one language for every utterance of the set",
                remedy="prepare the corpus again, or decode again if it has changed since",
            )
        members.setdefault(fields[0], []).append(utterance)
    return dict(sorted(members.items()))


def _cross_check(name: str, refs: dict[str, list[str]], hyps: dict[str, list[str]]) -> None:
    compared = compare_with_sclite(refs, hyps)
    if compared is None:
        log.info("%s: sclite is not installed; its cross-check is left out", name)
    elif compared.agree:
        log.info("%s: sclite agrees (%d errors)", name, compared.theirs.errors)
    else:
        log.warning("%s: sclite counts %s, we count %s", name, compared.theirs, compared.ours)


def _summary(scores: list[_SetScore]) -> dict[str, Any]:
    headline = next((scored for scored in scores if scored.name == "test"), scores[-1])
    sets = {
        scored.name: scored.result.as_dict()
        | {"languages": {name: wer.as_dict() for name, wer in scored.languages.items()}}
        | _hub5_figures(scored)
        for scored in scores
    }
    about = {"set": headline.name, "sets": sets}
    return headline.result.as_dict() | _hub5_figures(headline) | about


def _hub5_figures(scored: _SetScore) -> dict[str, Any]:
    if scored.hub5 is None:
        return {}
    return {"hub5": {key: _figures(counts) for key, counts in scored.hub5.items()}}


def _figures(counts: EditCounts) -> dict[str, float]:
    return asdict(counts) | {"errors": counts.errors, "percent": _percent(counts)}


def _percent(counts: EditCounts) -> float:
    return 100 * counts.errors / max(1, counts.words)


def format_table(scores: list[_SetScore]) -> str:
    """Lay out a table of word error rates for the terminal."""
    titles = ("set", "WER %", "95 % interval", "errors", "words", "sub", "del", "ins")
    rows: list[tuple[str, ...]] = [titles]
    for scored in scores:
        name, hub5 = scored.name, scored.hub5
        if len(scored.languages) > 1:
            rows += [_row(f"{name} {language}", wer) for language, wer in scored.languages.items()]
        rows.append(_row(name if hub5 is None else f"{name} (ours)", scored.result))
        rows += [_hub5_row(f"{key} (hubscr)", counts) for key, counts in (hub5 or {}).items()]
    lines = ["  ".join(row) for row in in_columns(rows)]
    if any(scored.hub5 is not None for scored in scores):
        lines.append(_NOT_COMPARABLE)
    return "\n".join(lines) + "\n"


def _row(name: str, wer: WerResult) -> tuple[str, ...]:
    low, high = wer.interval
    counts = (wer.errors, wer.words, wer.substitutions, wer.deletions, wer.insertions)
    return (name, f"{wer.percent:.2f}", f"{low:.1f} to {high:.1f}", *map(str, counts))


def _hub5_row(name: str, counts: EditCounts) -> tuple[str, ...]:
    numbers = (
        counts.errors,
        counts.words,
        counts.substitutions,
        counts.deletions,
        counts.insertions,
    )
    return (name, f"{_percent(counts):.2f}", "", *map(str, numbers))


def _worst_rows(scores: list[_SetScore]) -> list[dict[str, Any]]:
    return [
        {
            "set": scored.name,
            "utterance": worst.name,
            "errors": worst.counts.errors,
            "words": worst.counts.words,
            "alignment": [list(pair) for pair in worst.alignment],
        }
        for scored in scores
        for worst in scored.worst
    ]


def _worst_text(scores: list[_SetScore]) -> str:
    parts = []
    for scored in scores:
        parts.append(f"Worst utterances of {scored.name}\n")
        parts += [format_utterance(worst) + "\n" for worst in scored.worst]
    return "\n".join(parts)
