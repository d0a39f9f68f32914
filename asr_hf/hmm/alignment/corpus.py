"""From a corpus's data directories and filterbanks to a trained HMM system and its scores."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr_hf.data.ark import ArkReader
from asr_hf.data.fields import composed, other_space, words_of
from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.hmm.alignment.flat_start import FlatStartOptions, flat_start
from asr_hf.hmm.alignment.spoken_path import Transcript
from asr_hf.hmm.alignment.training_set import open_training_set
from asr_hf.hmm.gmm.cepstra import cepstra, normalise
from asr_hf.hmm.graph.lexicon import SILENCE_PHONES, Lexicon, read_lexicon
from asr_hf.hmm.system import HmmSystem
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.skips import SkipList

log = logging.getLogger(__name__)

Features = Mapping[str, NDArray[np.float32]]


def transcripts_of(data: DataDir, languages: list[str]) -> dict[str, Transcript]:
    """Read the words and the language of every utterance of a data directory.

    Args:
        data: the data directory.
        languages: the corpus's languages; where there is one, utterances need no utt2lang.

    Returns:
        The transcripts by utterance.

    Raises:
        InputError: an utterance has no transcript, or one with white space other than blanks
            and tabs, or no language where there are several.
    """
    transcripts = {}
    for utterance in data.utterances:
        if utterance.text is None:
            raise InputError(
                f"{data.path}/text: utterance {utterance.id} has no transcript",
                remedy="add it, or remove the utterance with asr-hf validate --fix",
            )
        language = utterance.language or (languages[0] if len(languages) == 1 else None)
        if language not in languages:
            spoken = sorted({u.language for u in data.utterances if u.language})
            raise InputError(
                f"{data.path}/utt2lang: utterance {utterance.id}: language {language!r}",
                expected=f"one of {', '.join(languages)}",
                remedy="mend utt2lang"
                + (f", or corpus.languages=[{','.join(spoken)}]" if spoken else ""),
            )
        if space := other_space(utterance.text):
            raise InputError(
                f"{data.path}/text: utterance {utterance.id}: {space}",
                expected="words with blanks between them",
                remedy="put a blank there: asr-hf validate --fix does",
            )
        transcripts[utterance.id] = Transcript(words_of(composed(utterance.text)), language)
    return transcripts


def lexicons_of(
    folder: Path, languages: list[str], transcripts: Mapping[str, Transcript]
) -> list[Lexicon]:
    """Read each language's lexicon, and add `<unk>` where training transcripts have unknown words.

    Args:
        folder: the folder that holds <language>/lexicon.txt.
        languages: the corpus's languages.
        transcripts: the transcripts of the training set.

    Returns:
        One lexicon a language, in their order.

    Raises:
        InputError: a lexicon is missing or damaged.
    """
    lexicons = []
    for name in languages:
        lexicon = read_lexicon(folder / name / "lexicon.txt", name)
        spoken = {w for t in transcripts.values() if t.language == name for w in t.words}
        unknown = sorted(word for word in spoken if word not in lexicon)
        if unknown:
            log.warning(
                "%s: %d training words are not in the lexicon and become <unk>: %s",
                name,
                len(unknown),
                " ".join(unknown[:10]) + (" ..." if len(unknown) > 10 else ""),
            )
            lexicon = lexicon.with_unknown()
        _warn_of_untrained(lexicon, spoken)
        lexicons.append(lexicon)
    return lexicons


def _warn_of_untrained(lexicon: Lexicon, spoken: set[str]) -> None:
    """Name the phones that no word of the training transcripts has.

    Noises are left out: many corpora have none.
    """
    trained = {p for word in spoken for v in lexicon.pronunciations.get(word, ()) for p in v}
    if untrained := sorted(lexicon.phones - trained - {*SILENCE_PHONES}):
        log.warning(
            "%s: %d phones of the lexicon are in no training transcript and get no data: %s",
            lexicon.language,
            len(untrained),
            " ".join(untrained[:20]) + (" ..." if len(untrained) > 20 else ""),
        )


def speaker_features(
    data: DataDir, fbank: ArkReader, keep: Callable[[Utterance], bool] = lambda _: True
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Make normalised cepstra of every utterance that has a filterbank, one speaker after another.

    Yields:
        The utterance and its features [frames, dim].
    """
    for speaker, utterances in data.by_speaker().items():
        present = [u for u in utterances if u.id in fbank and keep(u)]
        raw = {u.id: cepstra(check_finite(fbank[u.id], u.id)) for u in present}
        yield from normalise(raw, dict.fromkeys(raw, speaker)).items()


def check_finite(matrix: NDArray[np.float32], utterance: str) -> NDArray[np.float32]:
    """Refuse features that are not finite.

    Returns:
        The features as they came.

    Raises:
        InputError: a value is NaN or infinite.
    """
    if not np.isfinite(matrix).all():
        frame = int(np.flatnonzero(~np.isfinite(matrix).all(axis=1))[0])
        raise InputError(
            f"{utterance}: NaN or infinite feature in frame {frame}",
            remedy="check the recording and run asr-hf features again",
        )
    return matrix


def train_system(
    lexicons: list[Lexicon],
    data: DataDir,
    fbank: ArkReader,
    transcripts: Mapping[str, Transcript],
    options: FlatStartOptions,
    max_utterances: int | None,
    skips: SkipList,
    jobs: int = 1,
) -> HmmSystem:
    """Train monophones on a data directory, from a flat start.

    When there are more than `max_utterances` utterances, the shortest are taken: there the first,
    even alignment is least wrong, and a monophone model needs no more data.

    Returns:
        The system with its trained mixtures.

    Raises:
        InputError: too much has to be skipped, or nothing can be aligned.
    """
    system = HmmSystem.create(lexicons)
    chosen = _shortest(data, transcripts, max_utterances)
    features = training_features(data, fbank, chosen, skips)
    with open_training_set(system, features, transcripts, skips, jobs) as training:
        skips.check(len(chosen))
        system.gmm = flat_start(training, options, skips)
    skips.check(len(chosen))
    return system


def training_features(
    data: DataDir, fbank: ArkReader, chosen: Sequence[str], skips: SkipList
) -> dict[str, NDArray[np.float32]]:
    """Make the features of chosen utterances; those without a filterbank are skipped.

    Returns:
        Features [frames, dim] by utterance.

    Raises:
        InputError: too much has to be skipped.
    """
    chosen_names = set(chosen)
    features = dict(speaker_features(data, fbank, lambda u: u.id in chosen_names))
    for name in sorted(chosen_names - features.keys()):
        skips.add(name, f"no features in {fbank.path}")
    skips.check(len(chosen))
    return features


def _shortest(data: DataDir, transcripts: Mapping[str, Transcript], count: int | None) -> list[str]:
    names = [u.id for u in data.utterances]
    return sorted(names, key=lambda name: (len(transcripts[name].words), name))[:count]
