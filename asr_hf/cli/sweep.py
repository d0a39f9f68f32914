"""Runs sweeps with Hydra's multirun, so that Hydra's launchers and sweepers work."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from asr_hf.cli.compose import (
    COMPOSITION_ERRORS,
    CONFIG_NAME,
    checked_tree,
    complete,
    explain,
    folder_name,
    load_config,
    quoted_overrides,
    with_search_path,
    with_table,
)
from asr_hf.cli.groups import SEARCH_PATH, key_of
from asr_hf.cli.one_run import train
from asr_hf.runtime.errors import InputError
from asr_hf.runtime.files import write_text
from asr_hf.runtime.resources import conf_dir

# Environment variable that names a folder. Every job, in any process on any machine, writes the
# path of its run folder into a file there.
_JOBS = "ASR_HF_SWEEP_JOBS"

# Largest number of bytes of a file's name (NAME_MAX) on Linux's file systems.
_LONGEST = 255


def sweep(arguments: list[str]) -> None:
    """Run every combination of the overrides and print one table.

    Args:
        arguments: arguments of the verb, without -m.

    Raises:
        InputError: an override does not fit; no run has started then.
        AsrHfError: a run failed; the table of the others is printed first.
    """
    given = with_table(with_search_path(arguments))
    try:
        overrides = quoted_overrides(given)
    except COMPOSITION_ERRORS as error:
        problem = explain(given, error)
        raise problem from error
    parsed = _parse(overrides)
    exp = Path(_check_each(overrides, parsed).paths.exp)
    constant = [o.key_or_group or "" for o in parsed if not o.is_sweep_override()]
    # Run folders are named by the swept overrides; what all runs share belongs in name=.
    overrides.append(f"hydra.job.config.override_dirname.exclude_keys={_listed(constant)}")
    exp.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=exp, prefix=".sweep-") as scratch:
        jobs = Path(scratch)
        main = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=CONFIG_NAME)(
            _job
        )
        try:
            with _command_line(overrides, jobs):
                main()
        except COMPOSITION_ERRORS as error:
            problem = explain(overrides, error)
            raise problem from error
        finally:
            _tabulate(jobs)


@contextmanager
def _command_line(overrides: list[str], jobs: Path) -> Iterator[None]:
    """Replace sys.argv, which Hydra's entry point reads, while the block runs."""
    before = sys.argv
    sys.argv = ["asr-hf", "--multirun", *overrides]
    os.environ[_JOBS] = str(jobs)
    # Without it, Hydra prints errors and exits.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv = before
        del os.environ[_JOBS], os.environ["HYDRA_FULL_ERROR"]


def _parse(overrides: list[str]) -> list[Override]:
    parser = OverridesParser.create()
    parsed = []
    for override in overrides:
        try:
            parsed.append(parser.parse_override(override))
        except HydraException as error:
            raise explain([override], error) from error
    return parsed


def _check_each(overrides: list[str], parsed: list[Override]) -> DictConfig:
    """Compose every swept value once, so that a typo stops the sweep before its first run.

    Args:
        overrides: overrides, quoted.
        parsed: the same overrides, parsed.

    Returns:
        The configuration with the first of the values of each swept override.

    Raises:
        InputError: nothing is swept, or an override does not fit.
    """
    if not any(o.is_sweep_override() for o in parsed):
        raise InputError(
            "-m: nothing is swept",
            expected="an override with several values, e.g. preconditioner=identity,lbfgs",
            remedy="leave -m out for a single run",
        )
    fixed = [o for o, p in zip(overrides, parsed, strict=True) if not p.is_sweep_override()]
    # Hydra expands globs to options that exist, and a sweeper chooses values of intervals.
    swept = [o for o in parsed if o.is_choice_sweep() or o.is_range_sweep()]
    choices = [[f"{o.get_key_element()}={v}" for v in o.sweep_string_iterator()] for o in swept]
    first = [values[0] for values in choices]
    _check_names(choices)
    for position, values in enumerate(choices):
        for value in values:
            load_config([*fixed, *first[:position], value, *first[position + 1 :]])
    return load_config([*fixed, *first])


def _listed(keys: list[str]) -> str:
    return "[" + ",".join(f"'{key}'" for key in keys) + "]"


def _check_names(choices: list[list[str]]) -> None:
    """Check that file systems take the name of every run's folder.

    Raises:
        InputError: the longest name is too long.
    """
    longest = [max(values, key=lambda o: len(os.fsencode(run_name([o])))) for values in choices]
    folder_of(longest)


def folder_of(overrides: Sequence[str]) -> str:
    """Return the name of the folder of a run in a sweep.

    Args:
        overrides: swept overrides, each with the value of the run.

    Returns:
        The name, with % and / escaped.

    Raises:
        InputError: the name is too long.
    """
    name = run_name(overrides).replace("%", "%25").replace("/", "%2F")
    if (size := len(os.fsencode(name))) > _LONGEST:
        raise InputError(
            f"-m: a run would be called {name[:60]}..., {size} bytes long",
            expected=f"at most {_LONGEST} bytes, as file systems have it",
            remedy="write long values into options of your own, e.g. DIR/model/deep.yaml, and "
            "sweep these: --config-dir DIR model=deep,wide",
        )
    return name


def run_name(overrides: Sequence[str]) -> str:
    """Return the name of a run in a sweep: its overrides, sorted by key, texts without quotes."""
    parser = OverridesParser.create()
    named = []
    for parsed in sorted(
        parser.parse_overrides(list(overrides)), key=lambda o: o.get_key_element()
    ):
        value = parsed.value()
        text = parsed.get_value_element_as_str() if not isinstance(value, str) else str(value)
        named.append(f"{parsed.get_key_element()}={text}")
    return unicodedata.normalize("NFC", ",".join(named))


def _swept_folder(name: str, *, _root_: DictConfig) -> str:
    """Return the folder of a run below paths.exp, for `${swept_folder:...}` in conf/train.yaml."""
    settings = _root_.hydra
    constant = set(settings.job.config.override_dirname.exclude_keys)
    swept = [o for o in settings.overrides.task if key_of(o) not in constant]
    return f"{folder_name(name)}/{folder_of(swept)}"


OmegaConf.register_new_resolver("swept_folder", _swept_folder, replace=True)


def _job(config: DictConfig) -> float:
    """Do one run of the sweep; return its held-out loss, for sweepers that optimise."""
    from asr_hf.runtime.logs import configure_logging

    # Launchers may run this in a process that has not seen the command line.
    configure_logging(debug=logging.getLogger("asr_hf").level == logging.DEBUG)
    job = HydraConfig.get()
    folder = Path(job.runtime.output_dir)
    write_text(Path(os.environ[_JOBS]) / f"{job.job.num:06}", str(folder))
    return float(
        train(complete(_as_one_run(job), str(folder), list(job.overrides.task)))["heldout_loss"]
    )


def _as_one_run(job: Any) -> DictConfig:
    """Compose the configuration of a job as for a single run."""
    before = GlobalHydra.instance().hydra
    try:
        search = [o for o in job.overrides.hydra if key_of(o) == SEARCH_PATH]
        return checked_tree([*search, *job.overrides.task])
    finally:
        GlobalHydra.instance().hydra = before


def _tabulate(jobs: Path) -> None:
    """Print a table of the runs that have a result, and write it to a file beside them."""
    from asr_hf.report.comparison.tables import as_text
    from asr_hf.stages.compare import compare

    noted = sorted(jobs.glob("[0-9]*"))
    listed = dict.fromkeys(Path(note.read_text(encoding="utf-8")) for note in noted)
    folders = [folder for folder in listed if (folder / "result.json").exists()]
    if not folders:
        return
    table = as_text(compare(folders, [unquote(folder.name) for folder in folders]))
    print(table, end="")
    target = Path(os.path.commonpath([folder.parent for folder in folders])) / "sweep.md"
    write_text(target, table)
    print(f"table: {target}")
