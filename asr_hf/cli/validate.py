"""Check Kaldi data directories, stores and runs, and list every fault.

commonest use: asr-hf validate data/mine/train
usual time:    2 seconds for a data directory of 400 recordings

usage: asr-hf validate DIR [DIR ...] [--fix] [key=value ...]

If you name several data directories, the command also lists the utterances that they share. A
training set and a held-out set should share none. Of frame stores (data/<corpus>/store/<set>),
lattice stores and run folders it reads every byte, and compares it with its checksum.

--fix sorts the files of data directories, rebuilds spk2utt, and drops utterances that are
incomplete or have no usable audio. The files as they were stay in DIR/.backup.

If the model of a run is of a class of your own, name that class in the command, by
model._target_=CLASS or by --config-dir DIR model=OPTION.
"""

from __future__ import annotations

from pathlib import Path

from asr_hf.cli.compose import load_config
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.overlap import overlap
from asr_hf.data.validate import validate
from asr_hf.runtime.errors import InputError


def run(arguments: list[str]) -> None:
    """Print the problems of each folder.

    Raises:
        InputError: there are problems, or no folder is given.
    """
    fix = "--fix" in arguments
    folders, overrides = _parted([a for a in arguments if a != "--fix"])
    named = _model_class(overrides) if overrides else None
    if not folders:
        raise InputError("validate needs a data directory", remedy="asr-hf validate DIR [--fix]")
    total, checked = 0, list[Path]()
    for folder in folders:
        summary, problems = _check(Path(folder), fix, named)
        total += len(problems)
        for problem in problems:
            print(problem)
        print(f"{folder}: " + (f"{len(problems)} problems" if problems else f"valid{summary}"))
        if not problems and not summary:
            for other in checked:
                _say_shared(other, Path(folder))
            checked.append(Path(folder))
    if total:
        raise InputError(
            f"{total} problems found", remedy="mend them, or asr-hf validate --fix DIR"
        )


def _model_class(overrides: list[str]) -> str:
    """Return the full name of the model class that overrides choose."""
    return str(load_config(["+recipe=prompts", *overrides]).model._target_)


def _say_shared(first: Path, second: Path) -> None:
    """Print which utterances two valid data directories share; one may be meant as held out."""
    shared = overlap(DataDir.read(first), DataDir.read(second))
    if shared.count:
        print(f"{second}: warning: {shared.describe(str(first), str(second))}")


def _parted(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Part arguments into folders and overrides; a folder of a sweep may hold an equals sign."""
    folders, overrides, rest = [], [], list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument.startswith("-"):
            overrides += [argument, *rest[:1]]
            del rest[:1]
        elif "=" in argument and not Path(argument).exists():
            overrides.append(argument)
        else:
            folders.append(argument)
    return folders, overrides


def _check(folder: Path, fix: bool, named: str | None) -> tuple[str, list[str]]:
    """Return a summary of a store or run, empty for a data directory, and the problems."""
    if not (folder / "utt2spk").exists():
        # Late, so that data directories do not wait for torch.
        from asr_hf.stages.sources.integrity import check_folder

        if (checked := check_folder(folder, named)) is not None:
            return f", {checked[0]}", checked[1]
    return "", [str(problem) for problem in validate(folder, fix=fix)]
