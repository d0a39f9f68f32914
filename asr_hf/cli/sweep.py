"""Sweeps by Hydra's multirun, so that its launchers and sweepers work."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from asr_hf.cli.compose import CONFIG_NAME, absolute, explain, with_search_path
from asr_hf.runtime.files import write_text
from asr_hf.runtime.resources import conf_dir


def sweep(arguments: list[str]) -> None:
    """Run every combination of the overrides and print one table.

    Raises:
        InputError: an override does not fit.
    """
    overrides = with_search_path(arguments)
    # Hydra then raises errors in place of printing them and leaving.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    sys.argv = ["asr-hf", "--multirun", *overrides]
    try:
        hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=CONFIG_NAME)(_job)()
    except (HydraException, OmegaConfBaseException) as error:
        raise explain([_first_choice(o) for o in overrides], error) from error
    _tabulate()


_FOLDERS: list[Path] = []


def _job(config: DictConfig) -> float:
    """One run of the sweep; returns the held-out loss for sweepers that optimise."""
    from asr_hf.runtime.logs import configure_logging
    from asr_hf.stages import train

    configure_logging(debug=False)
    folder = Path(HydraConfig.get().runtime.output_dir)
    _FOLDERS.append(folder)
    result = train.run(absolute(config, str(folder)))
    return float(result["heldout_loss"])


def _tabulate() -> None:
    """Print the table of the runs, and keep it beside them."""
    from asr_hf.report.compare import compare

    if not _FOLDERS:
        return
    table, _ = compare(_FOLDERS, [folder.name for folder in _FOLDERS])
    print(table)
    write_text(_FOLDERS[0].parent / "sweep.md", table + "\n")


def _first_choice(override: str) -> str:
    """One value of a swept override, to find the one that does not fit."""
    key, _, value = override.partition("=")
    return override if value[:1] in "[{'\"" else f"{key}={value.split(',')[0]}"
