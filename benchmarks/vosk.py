"""Holds Vosk against `asr-hf decode`, word by word; writes benchmarks/results/vosk.json.

    python -m benchmarks.vosk exp/RUN --data data/prompts/test [--aligned FOLDER]

The run has to be decoded on that set, and exported by `asr-hf export vosk`.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import vosk

from asr_hf.data.kaldi_dir import DataDir
from asr_hf.runtime.ending import with_exit_code
from asr_hf.runtime.files import read_json, write_json
from asr_hf.scoring.alignment import count_errors, word_alignment
from asr_hf.scoring.ctm import CtmWord, read_ctm
from asr_hf.scoring.transcripts import read_table
from benchmarks.machine import describe

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results/vosk.json"
# Times that differ by at most this are the same (s): a frame that is emitted, and its rounding.
NEAR = 0.0301


@dataclass(frozen=True)
class Word:
    """A word with its times.

    Args:
        text: the word.
        start, end: times (s).
    """

    text: str
    start: float
    end: float


Words = Mapping[str, Sequence[Word]]


def words_of(path: Path) -> dict[str, list[Word]]:
    """Read the words of a ctm file, by recording."""
    found: dict[str, list[Word]] = {}
    for word in read_ctm(path):
        found.setdefault(word.recording, []).append(_of_ctm(word))
    return found


def _of_ctm(word: CtmWord) -> Word:
    return Word(word.word, word.start, word.start + word.duration)


def result_of(model: vosk.Model, path: Path, alternatives: int) -> dict[str, Any]:
    """Return what Vosk says of a recording.

    Args:
        model: a model of Vosk's.
        path: recording of one channel, of 16 bits.
        alternatives: 1 for the best path, 0 for the words of least expected errors.

    Returns:
        Vosk's record, with the words and their times.
    """
    samples, rate = soundfile.read(path, dtype="int16")
    recogniser = vosk.KaldiRecognizer(model, rate)
    recogniser.SetWords(True)
    recogniser.SetMaxAlternatives(alternatives)
    recogniser.AcceptWaveform(samples.tobytes())
    result: dict[str, Any] = json.loads(recogniser.FinalResult())
    return result["alternatives"][0] if alternatives else result


class Recogniser:
    """Vosk with the model of a run.

    Args:
        folder: the model's folder.
    """

    def __init__(self, folder: Path) -> None:
        vosk.SetLogLevel(-1)
        self._model = vosk.Model(str(folder))

    def hear(self, path: Path, alternatives: int) -> list[Word]:
        """Return the words of a recording; see `result_of`."""
        found = result_of(self._model, path, alternatives).get("result", [])
        return [Word(w["word"], w["start"], w["end"]) for w in found]


def agreement(ours: Words, theirs: Words) -> dict[str, Any]:
    """Compare two sides' words of the same recordings.

    Returns:
        Numbers of words of both, and of those in which they agree; and of the begins and ends of
        the latter, how many are near one another, the median distance, and the largest (s).
    """
    distances: list[float] = []
    same = 0
    for name in ours.keys() | theirs.keys():
        for one, other in _matched(ours.get(name, []), theirs.get(name, [])):
            same += 1
            distances += [abs(one.start - other.start), abs(one.end - other.end)]
    return {
        "words": sum(map(len, ours.values())),
        "their_words": sum(map(len, theirs.values())),
        "same_words": same,
        "times": len(distances),
        "near_times": sum(d <= NEAR for d in distances),
        "median_distance": round(float(np.median(distances)), 4) if distances else None,
        "largest_distance": round(max(distances), 4) if distances else None,
    }


def _matched(ours: Sequence[Word], theirs: Sequence[Word]) -> Iterable[tuple[Word, Word]]:
    """Yield the words in which the two sides agree, in their order."""
    mine, others = iter(ours), iter(theirs)
    for a, b in word_alignment([w.text for w in ours], [w.text for w in theirs]):
        one = next(mine) if a is not None else None
        other = next(others) if b is not None else None
        if one and other and a == b:
            yield one, other


def errors(references: Mapping[str, Sequence[str]], words: Words) -> int:
    """Count word errors over all references."""
    return sum(
        count_errors(word_alignment(said, [w.text for w in words.get(name, [])])).errors
        for name, said in references.items()
    )


def compared(run: Path, data: Path, aligned: Path | None) -> dict[str, Any]:
    """Run Vosk on a set and compare.

    Args:
        run: run folder, decoded on the set of the folder's name, and exported for one language.
        data: data directory of whole recordings.
        aligned: folder of the set's alignments, for times; None for none.

    Returns:
        The figures.
    """
    decoded = run / "decode" / data.name
    ours, references = words_of(decoded / "words.ctm"), read_table(decoded / "ref.txt")
    (folder,) = run.glob("export/vosk-*")
    recogniser, wavs = Recogniser(folder), DataDir.read(data).wavs
    began = time.process_time()
    best = {name: recogniser.hear(Path(wav), 1) for name, wav in wavs.items()}
    seconds = time.process_time() - began
    least_risk = {name: recogniser.hear(Path(wav), 0) for name, wav in wavs.items()}
    found = {
        "recordings": len(wavs),
        "reference_words": sum(map(len, references.values())),
        "errors": errors(references, ours),
        "errors_of_vosk": errors(references, best),
        "errors_of_vosk_by_least_risk": errors(references, least_risk),
        "best_path": agreement(ours, best),
        "least_risk": agreement(ours, least_risk),
        "processor_seconds": round(seconds, 1),
    }
    if aligned is not None:
        found["to_the_alignment"] = agreement(words_of(aligned / "words.ctm"), best)
    return found


@with_exit_code
def main(given: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vosk", description=__doc__)
    parser.add_argument("run", type=Path, help="run folder")
    parser.add_argument("--data", type=Path, required=True, help="data directory of the set")
    parser.add_argument("--aligned", type=Path, help="folder of the set's alignments")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args(given)
    torch.set_num_threads(1)
    known = read_json(options.results) if options.results.exists() else {"runs": {}}
    found = compared(options.run, options.data, options.aligned)
    machine = describe(torch.device("cpu"))
    known["runs"][options.run.name] = {"machine": machine, **found}
    write_json(options.results, known)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    raise SystemExit(main())
