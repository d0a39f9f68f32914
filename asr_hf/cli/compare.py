"""Compare runs: held-out losses, settings that differ, word errors with a paired test.

commonest use: asr-hf compare exp/first exp/second
usual time:    a second for a few runs

usage: asr-hf compare [exp/RUN ...] [--format text|html|json|csv] [--output FILE]

A folder that holds run folders stands for all of them. Without a folder, the command compares all
runs in paths.exp. It lists runs that are not finished, damaged or decoded with another model, and
says what is wrong with them.

  text   tables on the terminal, and the page (this is the default)
  html   the page alone: one file without scripts, with the curves
  json   every figure, with the points of the curves
  csv    a line for each run

The page is compare.html in the folder that holds the runs. json and csv go to standard output.
--output FILE names another place. The command compares word errors with those of the first run that
you name. If you name a folder of runs, it compares them with those of the run with fewest errors.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from asr_hf.cli.compose import load_config
from asr_hf.cli.options import split_options
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_text

if TYPE_CHECKING:
    from asr_hf.report.comparison.comparison import Comparison

_OPTIONS: dict[str, str | Sequence[str]] = {
    "--format": ("text", "html", "json", "csv"),
    "--output": "the name of a file",
}


@dataclass(frozen=True)
class _Arguments:
    """What the command says.

    Args:
        folders: run folders, and folders that hold such.
        overrides: overrides, which can name paths.exp.
        format: the form of the result.
        output: file of the result; None for the usual place.
    """

    folders: list[Path]
    overrides: list[str]
    format: str
    output: Path | None


def run(arguments: list[str]) -> None:
    """Compare the runs that the arguments name.

    Raises:
        InputError: an argument is no folder of runs and no option, or no run can be read.
    """
    given = _parsed(arguments)
    # Late, so that help does not wait for it.
    from asr_hf.report.comparison.runs import RunState, find_runs
    from asr_hf.report.comparison.tables import as_csv, as_json, as_text
    from asr_hf.stages.compare import compare

    paths = given.folders or [Path(load_config(["+recipe=prompts", *given.overrides]).paths.exp)]
    folders = find_runs(paths)
    named = paths[0] in folders
    comparison = compare(folders, named_first=named)
    if all(run.state is RunState.DAMAGED for run in comparison.runs):
        listed = "\n".join(f"    {run.folder}: {run.problem}" for run in comparison.runs)
        raise InputError(f"no run can be read:\n{listed}", remedy="asr-hf validate exp/RUN")
    writers: dict[str, Callable[[Comparison], str]] = {"json": as_json, "csv": as_csv}
    if (write := writers.get(given.format)) is not None:
        text = write(comparison)
        if given.output is None:
            sys.stdout.write(text)
        else:
            write_text(given.output, text)
        return
    if given.format == "text":
        print(as_text(comparison))
    print(f"page: {_write_page(comparison, paths, folders, given.output)}")


def _write_page(
    comparison: Comparison, paths: Sequence[Path], folders: Sequence[Path], output: Path | None
) -> Path:
    from asr_hf.report.comparison.page import FILE_NAME, page

    above = os.path.commonpath([folder.absolute().parent for folder in folders])
    alone = len(paths) == 1 and paths[0] not in folders
    target = output or (paths[0] if alone else Path(os.path.relpath(above))) / FILE_NAME
    name = f"Runs of {paths[0].absolute().name}" if alone else f"{len(folders)} runs"
    write_text(target, page(comparison, target.absolute().parent, name))
    return target


def _parsed(arguments: Sequence[str]) -> _Arguments:
    options, _, rest = split_options("compare", arguments, _OPTIONS)
    overrides = [a for a in rest if "=" in a and not Path(a).exists()]
    folders = [Path(a) for a in rest if a not in overrides]
    if folders and overrides:
        raise InputError(
            f"{overrides[0]}: no such folder, and an override has no use beside folders",
            expected="run folders, or paths.exp=DIR",
        )
    output = Path(options["--output"]) if "--output" in options else None
    return _Arguments(folders, overrides, options.get("--format", "text"), output)
