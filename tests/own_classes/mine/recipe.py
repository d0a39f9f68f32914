"""A recipe: words of two tones each, spoken by a sine wave."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from asr_hf.data.kaldi_dir import DataDir, Utterance
from asr_hf.hmm.graph.lexicon import Lexicon
from asr_hf.hmm.graph.ngram import estimate_ngram
from asr_hf.runtime.files import write_json, write_text
from asr_hf.settings.maker import make
from asr_hf.settings.settings import Settings

RATE = 8000
# Hz of each phone.
PHONES = {"la": 400, "mi": 900, "so": 1600, "ti": 2600}
WORDS = {f"{a}{b}": (a, b) for a in PHONES for b in PHONES if a != b}


@dataclass(frozen=True, kw_only=True)
class TonesSettings:
    """Settings of the corpus that this recipe alone reads.

    Attributes:
        utterances: number of utterances of each set.
        seed: seed of words and noise.
    """

    utterances: Mapping[str, int]
    seed: int


def prepare(settings: Settings) -> dict[str, Any]:
    """Make the corpus in `corpus.dir`; returns what corpus.json holds.

    A recipe for real recordings would keep what is there already: see asr_hf's own.
    """
    corpus = settings.corpus
    own = make(TonesSettings, corpus.own, "corpus")
    target, random = corpus.dir, np.random.default_rng(own.seed)
    shutil.rmtree(target, ignore_errors=True)
    sentences: list[list[str]] = []
    for name in corpus.sets:
        utterances, wavs = [], {}
        for number in range(own.utterances[name]):
            words = list(map(str, random.choice(sorted(WORDS), 3)))
            sentences += [words] if name == corpus.train_set else []
            key = f"{name}-{number:03d}"
            path = target / "wav" / f"{key}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, _spoken(words, random), RATE)
            wavs[key] = str(path)
            utterances.append(Utterance(key, key, key, text=" ".join(words), language="xx"))
        DataDir(target / name, utterances, wavs).write()
    _write_language(target / "lang" / "xx", sentences, settings.lm.order)
    about = {"name": corpus.name, "languages": ["xx"], "sample_rate": RATE, "summary": {}}
    write_json(target / "corpus.json", about)
    return about


def _spoken(words: list[str], random: np.random.Generator) -> np.ndarray:
    phones = [phone for word in words for phone in WORDS[word]]
    pause = np.zeros(RATE // 10)
    pieces = [pause]
    for phone in phones:
        times = np.arange(int(RATE * random.uniform(0.08, 0.14))) / RATE
        pieces.append(0.3 * np.sin(2 * np.pi * PHONES[phone] * random.uniform(0.97, 1.03) * times))
    samples = np.concatenate([*pieces, pause])
    return samples + 0.01 * random.normal(size=len(samples))


def _write_language(folder: Path, sentences: list[list[str]], order: int) -> None:
    lexicon = Lexicon("xx", {word: (phones,) for word, phones in WORDS.items()}).with_unknown()
    write_text(folder / "lexicon.txt", lexicon.text())
    write_text(folder / "lm_text", "".join(" ".join(words) + "\n" for words in sentences))
    write_text(folder / "lm.arpa", estimate_ngram(sentences, WORDS, order))
