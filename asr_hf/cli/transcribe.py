"""Write down what is said in recordings.

commonest use: asr-hf transcribe exp/first interview.mp3
usual time:    5 seconds for a short recording, 96 seconds for one of 27 minutes on one core

usage: asr-hf transcribe exp/RUN FILE ... [--format FORMAT] [key=value ...]
       asr-hf transcribe PACK.asrhf FILE ...

The recordings belong to no corpus and need no transcripts. They may have any form and sample rate
that asr-hf prepare takes. The command cuts long ones at pauses. A single - in place of files reads
their names from standard input, one a line. Run asr-hf decode before, because it tunes the decoding
weights that this command uses.

options:
  --format FORMAT    how the words are written:
{forms}
  --output DIR       write a file for each recording into this folder, in place of printing
  --language NAME    the language of the speech, if the run has several
  --channel N        take this channel, from 1; otherwise the mean of all
  --longest SECONDS  the longest stretch that is recognised at once (30)

If no word is recognised in a recording, that is an error. The command reports it when it has
written all others.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asr_hf.cli.options import CONFIG_DIR, split_options
from asr_hf.cli.stage import run_stage
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_text
from asr_hf.scoring.transcript_forms import TRANSCRIPT_FORMS, TranscriptForm
from asr_hf.scoring.transcription import Transcription

__doc__ = (__doc__ or "").format(
    forms="\n".join(f"      {name:<15}{form.about}" for name, form in TRANSCRIPT_FORMS.items())
)

_OPTIONS: dict[str, str | Sequence[str]] = {
    "--format": list(TRANSCRIPT_FORMS),
    "--output": "a folder",
    "--language": "the name of a language",
    "--channel": "the number of a channel, from 1",
    "--longest": "a number of seconds",
    **CONFIG_DIR,
}
# Seconds that a stretch may at most have: shorter ones have no context, longer ones need memory.
_SHORTEST, _LONGEST = 2.0, 300.0


@dataclass(frozen=True)
class _Place:
    """Where transcriptions go.

    Args:
        form: their form.
        folder: folder of a file for each; None for standard output.
    """

    form: TranscriptForm
    folder: Path | None

    def check(self, paths: Sequence[Path]) -> None:
        """Refuse recordings whose transcriptions could not be told apart.

        Raises:
            InputError: two would be in one file, or one text cannot hold all of them.
        """
        if self.folder is None and len(paths) > 1 and not self.form.together:
            raise InputError(
                f"{len(paths)} recordings, and subtitles are of one",
                remedy="--output DIR writes a file for each",
            )
        twice = [n for n, count in Counter(path.stem for path in paths).items() if count > 1]
        if self.folder is not None and twice:
            raise InputError(
                f"--output {self.folder}: several recordings have the name {twice[0]}",
                expected="a name for each",
                remedy="transcribe them into different folders",
            )

    def put(self, found: Sequence[Transcription]) -> None:
        """Write or print the transcriptions."""
        if self.folder is None:
            sys.stdout.write(self.form.write(found))
            return
        for one in found:
            path = self.folder / (Path(one.name).stem + self.form.suffix)
            write_text(path, self.form.write([one]))
            print(path)


def run(arguments: list[str]) -> None:
    """Transcribe recordings.

    Raises:
        InputError: an argument is wrong, a recording cannot be read, or no word was recognised in
            one.
    """
    options, folders, rest = split_options("transcribe", arguments, _OPTIONS)
    overrides = [a for a in rest if "=" in a and not Path(a).is_file()]
    run_dir, *names = [a for a in rest if a not in overrides] or [""]
    paths = _paths(run_dir, names)
    place = _Place(
        TRANSCRIPT_FORMS[options.get("--format", "text")],
        Path(options["--output"]) if "--output" in options else None,
    )
    place.check(paths)
    # Late, so that help does not wait for torch.
    from asr_hf.cli.speech import speech_config
    from asr_hf.stages.transcribe import TranscriptionOptions

    config, pack = speech_config(run_dir, [*folders, *overrides])
    channel = options.get("--channel")
    given = TranscriptionOptions(
        options.get("--language"),
        None if channel is None else int(_number("--channel", channel, 1, 1024)),
        _number("--longest", options.get("--longest", "30"), _SHORTEST, _LONGEST),
        pack,
    )
    found = run_stage("transcribe", config, paths=paths, options=given)["transcriptions"]
    place.put([one for one in found if one.words])
    _refuse_empty([one.name for one in found if not one.words])


def _paths(run_dir: str, names: Sequence[str]) -> list[Path]:
    """Return the audio files that arguments name, or standard input.

    Raises:
        InputError: there is no run folder among the arguments, or no file.
    """
    if not Path(run_dir).exists() or not run_dir:
        raise InputError(
            f"asr-hf transcribe: {run_dir or 'no run folder'}"
            + (": no such folder or pack" if run_dir else ""),
            expected="asr-hf transcribe exp/RUN FILE ...",
            remedy="asr-hf info lists the runs that there are",
        )
    if list(names) == ["-"]:
        names = [line for line in sys.stdin.read().splitlines() if line.strip()]
    if not names:
        raise InputError(
            "asr-hf transcribe: no recordings",
            expected=f"asr-hf transcribe {run_dir} FILE ..., or - for names on standard input",
        )
    return [Path(name) for name in names]


def _number(option: str, text: str, least: float, most: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise InputError(f"{option} {text}", expected=f"a number from {least:g} to {most:g}")
    return value


def _refuse_empty(names: Sequence[str]) -> None:
    if names:
        raise InputError(
            "no word was recognised in " + ", ".join(names),
            expected="speech",
            remedy="listen to it; --channel N takes another channel",
        )
