"""Makes the replica from a prepared corpus of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from asr_hf.data.audio import load_audio
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.hmm.graph.lexicon import read_lexicon
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import replaced_folder

from .awkward import Pronunciations, Transcriber, spelled_prompts
from .dialogue import RATE, Conversation, Prompt, conversations, noise
from .trees import write_eval2000, write_fisher, write_rt03, write_training

_SOUNDS = ("[noise]", "[laughter]", "[vocalized-noise]")
# Number of prompts for each sound.
_PROMPTS_A_SOUND = 12
_VOWELS = frozenset(
    ("aa", "ae", "ah", "ao", "aw", "ax", "ay", "eh", "er", "ey", "ih", "iy", "ow", "oy", "uh", "uw")
)


def read_prompts(
    corpus: Path, names: Sequence[str], max_prompts: int | None = None
) -> list[Prompt]:
    """Read the prompts of some sets of a corpus that asr-hf prepare made.

    Args:
        corpus: folder of the corpus.
        names: names of the sets.
        max_prompts: approximate maximum number of prompts of each set, spread over it; None takes
            all.

    Returns:
        The prompts.

    Raises:
        InputError: there is no such corpus, or a recording cannot be read.
    """
    prompts = []
    for data in (DataDir.read(corpus / name) for name in names):
        step = max(1, len(data.utterances) // max_prompts) if max_prompts else 1
        for utterance in data.utterances[::step]:
            samples = load_audio(data.wavs[utterance.recording], RATE).numpy().astype(np.int16)
            prompts.append(Prompt(samples, tuple((utterance.text or "").split())))
    return prompts


def read_pronunciations(corpus: Path, language: str) -> dict[str, list[tuple[str, ...]]]:
    """Read a corpus's lexicon in the phones of Switchboard's dictionary, which has a schwa.

    Returns:
        The pronunciations by word.

    Raises:
        InputError: the lexicon is missing or damaged.
    """
    lexicon = read_lexicon(corpus / "lang" / language / "lexicon.txt", language)
    return {
        word: [_with_schwa(tuple(p.removeprefix(f"{language}_") for p in v)) for v in variants]
        for word, variants in lexicon.pronunciations.items()
        if word != "<unk>"
    }


def _with_schwa(phones: tuple[str, ...]) -> tuple[str, ...]:
    """Mark schwas, which are ah in CMUdict without stress; words of one syllable have none."""
    if sum(phone in _VOWELS for phone in phones) == 1:
        return phones
    return tuple("ax" if phone == "ah" else phone for phone in phones)


def make_replica(
    root: Path,
    train: Sequence[Prompt],
    test: Sequence[Prompt],
    pronunciations: Pronunciations,
    seed: int = 0,
    truncated: bool = False,
) -> None:
    """Write the replica's corpora below `root`.

    They are LDC97S62, swb_ms98_transcriptions, LDC2002S09, LDC2002T43, LDC2007S10 and
    LDC2004T19. Input and seed determine every byte.

    Args:
        root: folder whose content is replaced.
        train: prompts for the training data.
        test: prompts for the test sets.
        pronunciations: pronunciations of every word in the prompts.
        seed: seed of all random choices.
        truncated: whether the last training recording is cut in half.

    Raises:
        InputError: a prompt has a word without pronunciation.
    """
    _check(pronunciations, [*train, *test])
    random = np.random.default_rng(seed)
    spoken = [*train, *spelled_prompts(train), *_sounds(len(train), random)]
    talks = list(conversations(spoken, random))
    tests = list(conversations([*test, *_sounds(len(test), random)], random))
    third = max(1, len(tests) // 3)
    with replaced_folder(root) as part:
        write_training(part, talks, Transcriber(pronunciations, random), truncated)
        write_eval2000(part, _at_least_two(tests[third:] or tests))
        write_rt03(part, tests[:third])
        write_fisher(part, [prompt.words for prompt in train])


def _sounds(prompts: int, random: np.random.Generator) -> list[Prompt]:
    count = max(1, prompts // _PROMPTS_A_SOUND)
    return [noise(random, kind) for kind in _SOUNDS for _ in range(count)]


def _at_least_two(talks: list[Conversation]) -> list[Conversation]:
    """Make sure that there is a conversation for each kind of file name."""
    return talks if len(talks) > 1 else talks * 2


def _check(pronunciations: Pronunciations, prompts: Sequence[Prompt]) -> None:
    lacking = {w for p in prompts for w in p.words} - pronunciations.keys()
    if lacking:
        raise InputError(
            f"{len(lacking)} words of the prompts without pronunciation, as {min(lacking)!r}",
            remedy="prepare the prompts again",
        )
