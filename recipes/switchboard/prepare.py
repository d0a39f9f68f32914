"""Makes a corpus of Switchboard-1 (300 hours of telephone calls) and NIST's test sets."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr_hf.data.fields import words_of
from asr_hf.hmm.graph.ngram import estimate_ngram
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_text
from asr_hf.runtime.provenance import Source, file_digest
from asr_hf.settings.maker import make
from asr_hf.settings.settings import Settings
from asr_hf.stages.sources.corpus import make_corpus

from . import corpora
from .corpora import check_corpora, transcripts_folder
from .evaluation import EvaluationSet, read_eval2000, read_rt03
from .fisher import fisher_sentences
from .lexicon import DICTIONARY, LANGUAGE, Entry, make_lexicon, read_dictionary, spoken_vocabulary
from .settings import SwitchboardSettings
from .speakers import read_conv_tab
from .sphere import find_recordings
from .summary import summarise, table
from .tokens import Compat
from .training import TrainingData, training_data
from .transcripts import TRANSCRIPTS, read_transcripts

log = logging.getLogger("asr_hf.recipes.switchboard")

_SAMPLE_RATE = 8000
_TRAINING = ("train", "dev")
_TESTS = ("eval2000", "rt03")
# Settings that a corpus depends on.
_SETTINGS = (
    "corpus.sets",
    "corpus.subset",
    "corpus.subsets",
    "corpus.dev_utterances",
    "corpus.lm_held_out",
    "corpus.compat",
    "lm.order",
    "features.max_skipped",
)


@dataclass(frozen=True)
class _Sources:
    """The corpora and files that the corpus is made from.

    Args:
        folders: folders by key of a corpus.
        transcripts: the folder swb_ms98_transcriptions.
        conv_tab: file of the conversations' callers; None where it is not given.
        patch: file of corrections to the dictionary; None for none.
        compat: rules for tokens and acronyms.
    """

    folders: dict[str, list[Path]]
    transcripts: Path
    conv_tab: Path | None
    patch: Path | None
    compat: Compat


def prepare(settings: Settings) -> dict[str, Any]:
    """Write data directories, lexicon and language model into `corpus.dir`.

    Do nothing where they were made from the same corpora with the same settings before.

    Returns:
        What corpus.json holds.

    Raises:
        InputError: corpora are missing, incomplete or malformed, a setting is not
            possible, or the folder holds something else.
    """
    recipe_settings = make(SwitchboardSettings, settings.corpus.own, "corpus")
    sources = _sources(settings, recipe_settings)
    target = settings.corpus.dir

    def write(part: Path) -> dict[str, Any]:
        about = _make(settings, recipe_settings, sources, part)
        log.info("%s:\n%s", target, table(about["summary"]))
        return about

    recorded = {key: settings.plain(key) for key in _SETTINGS}
    return make_corpus(target, recorded, _made_from(sources), write)


def _make(
    settings: Settings, recipe_settings: SwitchboardSettings, sources: _Sources, part: Path
) -> dict[str, Any]:
    """Write the corpus into the folder `part`; return the content of corpus.json."""
    tests = _tests(settings.corpus.sets, sources)
    dictionary = read_dictionary(sources.transcripts / DICTIONARY, sources.patch)
    lexicon, acronyms = make_lexicon(dictionary, sources.compat)
    transcripts = read_transcripts(sources.transcripts, acronyms, sources.compat)
    speakers = read_conv_tab(sources.conv_tab) if sources.conv_tab else {}
    recordings = find_recordings(sources.folders["swbd"][0])
    data = training_data(
        recipe_settings, settings.features.max_skipped, transcripts.segments, recordings, speakers
    )
    data.write(part)
    for test in tests:
        test.write(part / test.name)
    _write_language(part / "lang" / LANGUAGE, lexicon, data, sources, settings.lm.order)
    words = {word for word, _ in lexicon}
    return {
        "name": settings.corpus.name,
        "languages": [LANGUAGE],
        "sample_rate": _SAMPLE_RATE,
        "summary": summarise(transcripts, data, tests, recipe_settings.subset, words),
    }


def _sources(settings: Settings, recipe_settings: SwitchboardSettings) -> _Sources:
    """Check settings and corpora before any work.

    Returns:
        The corpora and files that the corpus is made from.

    Raises:
        InputError: a corpus or file is missing, or a setting is not possible.
    """
    if (compat := recipe_settings.compat) not in list(Compat):
        raise InputError(
            f"corpus.compat: there is no {compat!r}", expected=f"one of {', '.join(Compat)}"
        )
    known = {*_TRAINING, *_TESTS}
    if not set(_TRAINING) <= set(settings.corpus.sets) <= known:
        raise InputError(
            f"corpus.sets: {list(settings.corpus.sets)}",
            expected=f"{', '.join(_TRAINING)}, and any of {', '.join(_TESTS)}",
        )
    folders = check_corpora(recipe_settings, settings.corpus.sets)
    return _Sources(
        folders,
        transcripts_folder(folders["msu"][0]),
        _optional_file(recipe_settings.conv_tab, "conv_tab"),
        _optional_file(recipe_settings.lexicon_patch, "lexicon_patch"),
        Compat(compat),
    )


def _optional_file(setting: Path | None, key: str) -> Path | None:
    if setting is None:
        return None
    path = Path(os.path.abspath(setting))
    if not path.is_file():
        raise InputError(f"corpus.{key}: {path} is no file", remedy="mend the path, or set null")
    return path


def _made_from(sources: _Sources) -> dict[str, Source]:
    """Identify the sources: text by content, audio by names and sizes (reading takes minutes)."""
    texts = [[str(path), file_digest(path)] for path in _text_files(sources)]
    audio = [path for key in ("swbd", *_TESTS) for path in _recordings(sources, key)]
    for folder in sources.folders.get("fisher", []):
        audio += sorted(folder.glob(f"**/{corpora.FISHER}"))
    return {
        "texts and rules": Source.of_values(texts),
        "recordings": Source.of_values([[str(path), path.stat().st_size] for path in audio]),
    }


def _recordings(sources: _Sources, key: str) -> list[Path]:
    return [p for folder in sources.folders.get(key, []) for p in find_recordings(folder).values()]


def _text_files(sources: _Sources) -> Iterable[Path]:
    here = Path(__file__).parent
    yield from sorted(path for path in here.iterdir() if path.suffix in (".py", ".txt"))
    yield from sorted(sources.transcripts.glob(TRANSCRIPTS))
    yield sources.transcripts / DICTIONARY
    yield from filter(None, (sources.conv_tab, sources.patch))
    for folder in sources.folders.get("eval2000", []):
        yield corpora.eval2000_folder(folder) / corpora.PEM
    for folder in sources.folders.get("hub5_refs", []):
        yield corpora.find_file(folder, corpora.EVAL2000_STM)
        yield corpora.find_file(folder, corpora.EVAL2000_GLM)
    for folder in sources.folders.get("rt03", []):
        yield from sorted(folder.glob(corpora.RT03_STM))
        yield folder / corpora.RT03_GLM


def _tests(sets: Sequence[str], sources: _Sources) -> list[EvaluationSet]:
    tests = []
    if "eval2000" in sets:
        tests.append(read_eval2000(sources.folders["eval2000"][0], sources.folders["hub5_refs"][0]))
    if "rt03" in sets:
        tests.append(read_rt03(sources.folders["rt03"][0]))
    return tests


def _write_language(
    folder: Path, lexicon: list[Entry], data: TrainingData, sources: _Sources, order: int
) -> None:
    """Write lexicon and language model, and the texts that the model is made from and tested on."""
    lines = "".join(f"{word} {' '.join(phones)}\n" for word, phones in lexicon)
    write_text(folder / "lexicon.txt", lines)
    sentences = [words_of(u.text or "") for u in data.language_model]
    sentences += fisher_sentences(sources.folders.get("fisher", []))
    write_text(folder / "lm_text", "".join(" ".join(words) + "\n" for words in sentences))
    write_text(folder / "lm_held_out", "".join(f"{u.text}\n" for u in data.held_out))
    write_text(folder / "lm.arpa", estimate_ngram(sentences, spoken_vocabulary(lexicon), order))
