"""Align a corpus and pack its training data; write when words and phones are said.

commonest use: asr-hf align +recipe=prompts
usual time:    one to two minutes for 24 minutes of recordings on two cores

usage: asr-hf align +recipe=NAME [--format FORMAT] [group=OPTION ...] [key=value ...]

The command trains a monophone GMM on the training set by a flat start, aligns every set by force,
and packs features and labels into <corpus.dir>/store/<set>. It keeps what is there already and
still right. These settings take alignments from elsewhere:

  alignment.from_run=exp/RUN    align again with a trained network
  alignment.from_kaldi=DIR      a Kaldi folder with ali.*.gz and final.mdl
  alignment.from_ark=FILE       an archive of pdf ids

options:
  --format FORMAT    write the times of words and phones as well:
{forms}
  --output DIR       write them into DIR/<set>, in place of <alignment folder>/<set>/times/FORMAT
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from asr_hf.cli.compose import load_config
from asr_hf.cli.options import CONFIG_DIR, split_options
from asr_hf.cli.stage import run_stage
from asr_hf.cli.typed import settings_of
from asr_hf.runtime.errors import InputError
from asr_hf.scoring.time_forms import TIME_FORMS
from asr_hf.stages.sources.layout import store_folder

__doc__ = (__doc__ or "").format(
    forms="\n".join(f"      {name:<15}{form.about}" for name, form in TIME_FORMS.items())
)

_OPTIONS: dict[str, str | Sequence[str]] = {
    "--format": list(TIME_FORMS),
    "--output": "a folder",
    **CONFIG_DIR,
}


def run(arguments: list[str]) -> None:
    """Run the verb with its overrides, and print the stores that training reads.

    Raises:
        InputError: a folder is given for times, and no form of them.
    """
    options, folders, overrides = split_options("align", arguments, _OPTIONS)
    form, folder = options.get("--format"), options.get("--output")
    if folder is not None and form is None:
        raise InputError(
            f"--output {folder}: without a form of the times",
            expected=f"--format as well, one of {', '.join(TIME_FORMS)}",
        )
    config = load_config([*folders, *overrides])
    if form is None:
        made = run_stage("align", config)
    else:
        # Late, so that help does not wait for the Kaldi libraries.
        from asr_hf.stages.timing.timed_sets import TimesWanted

        wanted = TimesWanted(form, None if folder is None else Path(folder))
        made = run_stage("align", config, times=wanted)
    settings = settings_of(config)
    for name, about in made["sets"].items():
        minutes = about["frames"] * settings.features.frame_shift / 60_000
        skipped = f", {len(about['skipped'])} skipped" if about["skipped"] else ""
        print(
            f"{store_folder(settings, name)}: {about['utterances']} utterances, "
            f"{minutes:.1f} minutes{skipped}; {made['pdfs']} pdfs"
        )
    for written in made.get("times", {}).values():
        skipped = f", {written['skipped']} utterances skipped" if written["skipped"] else ""
        files = "1 file" if written["files"] == 1 else f"{written['files']} files"
        print(f"{written['folder']}: times of {written['words']} words in {files}{skipped}")
