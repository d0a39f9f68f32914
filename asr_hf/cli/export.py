"""Write a trained model, or its scores, in the form of another program.

commonest use: asr-hf export onnx exp/first
usual time:    5 seconds for a network

usage: asr-hf export FORMAT exp/RUN [key=value ...]

The command writes these formats into <run folder>/export:
{formats}

export.sets names the sets. export.text=true writes archives as text.
"""

from __future__ import annotations

import difflib

from asr_hf.cli.run_settings import load_run_config
from asr_hf.cli.stage import run_stage
from asr_hf.runtime.errors import InputError
from asr_hf.training.export_formats import FORMATS

__doc__ = (__doc__ or "").format(
    formats="\n".join(f"  {name:<10}{form.writes}" for name, form in FORMATS.items())
)


def run(arguments: list[str]) -> None:
    """Run the verb with a format and overrides, and print the files written.

    Raises:
        InputError: the format is missing or unknown.
    """
    name = arguments[0] if arguments else ""
    if name not in FORMATS:
        near = difflib.get_close_matches(name, FORMATS, n=1)
        raise InputError(
            f"asr-hf export: {name!r} is no format",
            expected=f"asr-hf export FORMAT ..., one of {', '.join(FORMATS)}",
            remedy=f"did you mean {near[0]!r}?" if near else "asr-hf export --help explains them",
        )
    config = load_run_config([*arguments[1:], f"export.format={name}"])
    for path in run_stage("export", config)["files"]:
        print(path)
