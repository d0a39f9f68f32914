"""Check Kaldi data directories, stores and runs, and list every offender.

usage: asr-hf validate DIR [DIR ...] [--fix] [key=value ...]

Of several data directories it says too what utterances they share: a training set and a held-out
set should have none. Of frame stores (data/<corpus>/store/<set>), lattice stores and run folders
every byte is read and compared with its checksum.

--fix sorts the files of data directories, rebuilds spk2utt and drops utterances that are
incomplete or have no usable audio; the files as they were are kept in DIR/.backup.

The model of a run that is of a class of your own is read where the command names that class, by
model._target_=CLASS or --config-dir DIR model=OPTION.
"""

from __future__ import annotations

from pathlib import Path

from asr_hf.cli.compose import load_config
from asr_hf.data.kaldi_dir import DataDir
from asr_hf.data.overlap import overlap
from asr_hf.data.validate import validate
from asr_hf.runtime.errors import InputError


def run(arguments: list[str]) -> None:
    """Print the problems of each directory; an error when there are any."""
    fix = "--fix" in arguments
    folders, overrides = _parted([a for a in arguments if a != "--fix"])
    named = _model_class(overrides) if overrides else None
    if not folders:
        raise InputError("validate needs a data directory", remedy="asr-hf validate DIR [--fix]")
    total, checked = 0, list[Path]()
    for folder in folders:
        found, problems = _check(Path(folder), fix, named)
        total += len(problems)
        for problem in problems:
            print(problem)
        print(f"{folder}: " + (f"{len(problems)} problems" if problems else f"valid{found}"))
        if not problems and not found:
            for other in checked:
                _say_shared(other, Path(folder))
            checked.append(Path(folder))
    if total:
        raise InputError(
            f"{total} problems found", remedy="mend them, or asr-hf validate --fix DIR"
        )


def _model_class(overrides: list[str]) -> str:
    """The full name of the class that overrides choose for models."""
    return str(load_config(["+recipe=prompts", *overrides]).model._target_)


def _say_shared(one: Path, other: Path) -> None:
    """Print what two valid data directories have in common; one may be meant as held out."""
    shared = overlap(DataDir.read(one), DataDir.read(other))
    if shared.count:
        print(f"{other}: warning: {shared.describe(str(one), str(other))}")


def _parted(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Folders, and overrides. The folder of a sweep's run may hold an equals sign."""
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
    """What was found, if there is more to say than that it is valid; and the problems."""
    if not (folder / "utt2spk").exists():
        # Late, so that data directories do not wait for torch.
        from asr_hf.stages.sources.integrity import check_folder

        if (checked := check_folder(folder, named)) is not None:
            return f", {checked[0]}", checked[1]
    return "", [str(problem) for problem in validate(folder, fix=fix)]
