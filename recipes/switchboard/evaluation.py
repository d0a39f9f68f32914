"""Reads the test sets eval2000 and rt03, and the files by which NIST's tools score them."""

from __future__ import annotations

import logging
import shutil
from dataclasses import dataclass
from pathlib import Path

from asr_hf.data.kaldi_dir import Utterance
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import atomic_path, write_text

from . import corpora
from .hub5 import Turn, cleaned_stm, match_turns, pad, read_pem, read_stm
from .lexicon import LANGUAGE
from .sphere import SIDES, check_recording, find_recordings, side_of
from .training import write_set

log = logging.getLogger("asr_hf.recipes.switchboard")

# Number of sides in eval2000, by the beginning of the names of their files.
_EVAL2000_SIDES = {"sw_": 40, "en_": 40}


@dataclass(frozen=True)
class EvaluationSet:
    """One test set.

    Args:
        name: name of the set.
        turns: scored segments, padded, with their words.
        ignored: number of segments that are not scored.
        recordings: file by name of the recording.
        stm: text of the cleaned references.
        glm: file of rewriting rules.
    """

    name: str
    turns: list[Turn]
    ignored: int
    recordings: dict[str, Path]
    stm: str
    glm: Path

    def utterances(self) -> list[Utterance]:
        """The turns as utterances, sorted by id."""
        return sorted((_utterance(turn) for turn in self.turns), key=lambda u: u.id.encode())

    def write(self, folder: Path) -> None:
        """Write the data directory, stm and glm.

        Raises:
            InputError: a recording is missing or damaged; an incomplete test set is of no use.
        """
        utterances = self.utterances()
        wavs: dict[str, str] = {}
        faults = []
        for name in sorted({side_of(u.recording)[0] for u in utterances}):
            path = self.recordings.get(name)
            sound = f"{name}.sph: no such recording" if path is None else check_recording(path)
            if isinstance(sound, str):
                faults.append(f"    {sound}")
            else:
                wavs |= {f"{name}-{side}": str(sound.path) for side in SIDES}
        if faults:
            raise InputError(
                f"{self.name}: {len(faults)} recordings cannot be used:\n" + "\n".join(faults),
                expected="every recording of the references, whole",
                remedy="fetch the audio again, or leave the set out of corpus.sets",
            )
        write_set(folder, utterances, wavs)
        write_text(folder / "stm", self.stm)
        with atomic_path(folder / "glm") as temporary:
            shutil.copyfile(self.glm, temporary)


def _utterance(turn: Turn) -> Utterance:
    return Utterance(
        turn.id,
        turn.recording,
        turn.recording,
        side_of(turn.recording)[1],
        turn.start,
        turn.end,
        " ".join(turn.words or ()),
        LANGUAGE,
    )


def read_eval2000(audio: Path, references: Path) -> EvaluationSet:
    """Read the 2000 HUB5 English evaluation (LDC2002S09, LDC2002T43).

    Returns:
        The set.

    Raises:
        InputError: a file is malformed, or segments and references differ.
    """
    english = corpora.eval2000_folder(audio)
    stm = corpora.find_file(references, corpora.EVAL2000_STM)
    segments = read_pem(english / corpora.PEM)
    evaluation_set = _evaluation_set(
        "eval2000",
        segments,
        stm,
        find_recordings(english),
        corpora.find_file(references, corpora.EVAL2000_GLM),
    )
    sides = {turn.recording for turn in segments}
    for prefix, expected in _EVAL2000_SIDES.items():
        if (count := sum(side.startswith(prefix) for side in sides)) != expected:
            log.warning("%s: %d sides %s*, not %d as published", stm, count, prefix, expected)
    return evaluation_set


def read_rt03(folder: Path) -> EvaluationSet:
    """Read the telephone speech of the 2003 Rich Transcription evaluation (LDC2007S10).

    Returns:
        The set.

    Raises:
        InputError: a file is malformed.
    """
    files = sorted(folder.glob(corpora.RT03_STM))
    turns = [turn for path in files for turn in read_stm(path)]
    return EvaluationSet(
        "rt03",
        pad(turn for turn in turns if not turn.ignored),
        sum(turn.ignored for turn in turns),
        find_recordings(folder / corpora.RT03_AUDIO),
        "".join(cleaned_stm(path) for path in files),
        folder / corpora.RT03_GLM,
    )


def _evaluation_set(
    name: str, segments: list[Turn], stm: Path, recordings: dict[str, Path], glm: Path
) -> EvaluationSet:
    references = read_stm(stm)
    # Segments that are not scored also limit the padding of their neighbours.
    padded = pad(dict.fromkeys(segments))
    scored = match_turns(padded, references, str(stm))
    return EvaluationSet(name, scored, len(padded) - len(scored), recordings, cleaned_stm(stm), glm)
